#!lua
-- Appends to mailboxes. Each item is judged by its owner record: unless somebody else owns it (u), as owner (o), or as
-- owner and with a release (r). A server whose memory is full refuses the whole call before it does anything.
-- USES: clock, record, counters, mailbox, prune
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now, most entries, most bytes, items: mode, session I6, length B of node, node, count I2, (length I4, value)...
-- RETURNS: for each item n (no device), o or f (owned, fenced) and the owner, or s, last position before I6, count I2, outcomes, the owner that there was
local function is_full(r, size, most, room)
  return r.count >= most or r.bytes + size > room
end

-- Appends the values and returns an outcome for each: s stored, x expired, f mailbox full. Stored ones have the positions
-- behind the one that the record had.
local function append(key, r, values, now, most, room)
  local outcomes, full = {}, false
  for i, value in ipairs(values) do
    local expiry, size = expiry_of(value), #value - HEADER
    if not full and expiry <= now then
      outcomes[i] = 'x'
    else
      full = full or is_full(r, size, most, room) and (prune(key, r, now) == 0 or is_full(r, size, most, room))
      outcomes[i] = full and 'f' or 's'
      if not full then
        r.position = r.position + 1
        redis.call('XADD', key, string.format('%d-%d', r.position, now), 'e', value)
        r.due = r.count == 0 and expiry or math.min(r.due, expiry)
        r.count = r.count + 1
        r.bytes = r.bytes + size
        if r.count == 1 then added.mailboxes = added.mailboxes + 1 end
        added.envelopes = added.envelopes + 1
        added.bytes = added.bytes + size
      end
    end
  end
  return table.concat(outcomes)
end

local now, most, room, items, at = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], 1

local out = for_each_record(KEYS, 2, 2, function(r, key, mailbox)
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
  if not r then return 'n' end
  local same = r.node == node and r.session == session
  if mode == 'u' and r.node ~= '' and not same then return 'o' .. owner_of(r) end
  if mode ~= 'u' and (r.node == '' or not same) then return 'f' .. owner_of(r) end
  local before, was, due = r.position, owner_of(r), r.due
  local outcomes = append(mailbox, r, values, now, most, room)
  if mode == 'r' then
    r.node, r.session, r.seen = '', 0, math.floor(now / 60000)
  end
  if mode == 'r' or r.position > before or r.due ~= due then note(key) end
  return 's' .. struct.pack('>I6I2', before, count) .. outcomes .. was
end)
count_up(KEYS[1], now)
return out
