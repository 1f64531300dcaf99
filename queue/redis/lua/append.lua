#!lua
-- Appends to mailboxes. Each item is judged by its owner record: unless somebody else owns it (u), as owner (o), or as
-- owner and with a release (r). A server whose memory is full refuses the whole call before it does anything.
-- USES: clock, record, counters, mailbox
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now, most entries, most bytes, items: mode, session I6, length B of node, node, count I2, (length I4, value)...
-- RETURNS: for each item n (no device), o or f (owned, fenced) and the owner, or s, last position before I6, count I2, outcomes, the owner that there was
local now, most, room, items = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local at, out = 1, {}
for i = 1, (#KEYS - 1) / 2 do
  local owner, mailbox = KEYS[2 * i], KEYS[2 * i + 1]
  local mode, session, length, start = struct.unpack('>c1I6B', items, at)
  local node = string.sub(items, start, start + length - 1)
  local count, behind = struct.unpack('>I2', items, start + length)
  local values, size = {}, 0
  at = behind
  for j = 1, count do
    size, at = struct.unpack('>I4', items, at)
    values[j] = string.sub(items, at, at + size - 1)
    at = at + size
  end
  local r = recall(owner)
  if not r then
    out[i] = 'n'
  elseif mode == 'u' and r.node ~= '' and (r.node ~= node or r.session ~= session) then
    out[i] = 'o' .. owner_of(r)
  elseif mode ~= 'u' and (r.node == '' or r.node ~= node or r.session ~= session) then
    out[i] = 'f' .. owner_of(r)
  else
    local before, was, due = r.position, owner_of(r), r.due
    local outcomes = append(mailbox, r, values, now, most, room)
    if mode == 'r' then
      r.node, r.session, r.seen = '', 0, math.floor(now / 60000)
    end
    if mode == 'r' or r.position > before or r.due ~= due then note(owner, r) end
    out[i] = 's' .. struct.pack('>I6I2', before, count) .. outcomes .. was
  end
end
count_up(KEYS[1], now)
return out
