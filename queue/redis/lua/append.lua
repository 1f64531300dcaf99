#!lua
-- Appends to mailboxes. Each item is judged by its owner record: unless somebody else owns it (u), as owner (o), or as
-- owner and with a release (r). A server whose memory is full refuses the whole call before it does anything.
-- USES: clock, record, counters, mailbox, payload, leaving, prune
-- KEYS: counters, payloads that are needed, then owner record and mailbox of each item
-- ARGV: now, most entries, most bytes, items: mode, session I6, length B of node, node, count I2, bytes I4 of (length I4, value)...;
-- where there are payloads: how many keys of them, a mark, then name and ciphertext of each
-- RETURNS: for each item n (no device), o or f (owned, fenced) and the owner, or s, last position before I6, count I2, outcomes, the owner that there was
local now, most, room, items, at = clock(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], 1
local ciphertexts = {}
for i = 7, #ARGV, 2 do ciphertexts[ARGV[i]] = ARGV[i + 1] end

local function is_full(r, size)
  return r.count >= most or r.bytes + size > room
end

-- The value as it stands in the stream. One entry more refers to its payload, if it has one, and the first has it kept.
local function kept(mailbox, value)
  if byte(value, 17) < 2 then return value end
  local p = payload_of(mailbox, value)
  if p.count == 0 then p.mark, p.bytes = ARGV[6], ciphertexts[string.sub(value, HEADER + 5)] end
  p.count, p.is_changed = p.count + 1, true
  return value .. p.mark
end

-- Appends so many values, the first of which begins at `from`, and returns an outcome for each: s stored, x expired, f
-- mailbox full. Stored ones have the positions behind the one that the record had.
local function append(key, r, from, count)
  local outcomes, full = {}, false
  for i = 1, count do
    local length, start = struct.unpack('>I4', items, from)
    local value = string.sub(items, start, start + length - 1)
    from = start + length
    local expiry, size = expiry_of(value), size_of(value)
    full = full or expiry > now and is_full(r, size) and (prune(key, r, now) == 0 or is_full(r, size))
    outcomes[i] = full and 'f' or expiry <= now and 'x' or 's'
    if outcomes[i] == 's' then
      r.position = r.position + 1
      redis.call('XADD', key, string.format('%d-%d', r.position, now), 'e', kept(key, value))
      r.due = r.count == 0 and expiry or math.min(r.due, expiry)
      r.count, r.bytes = r.count + 1, r.bytes + size
      if r.count == 1 then added.mailboxes = added.mailboxes + 1 end
      added.envelopes, added.bytes = added.envelopes + 1, added.bytes + size
    end
  end
  return table.concat(outcomes)
end

return for_each_record(KEYS, 2 + (ARGV[5] or 0), 2, function(r, key, mailbox)
  local mode, session, length, start = struct.unpack('>c1I6B', items, at)
  local node = string.sub(items, start, start + length - 1)
  local count, bytes, from = struct.unpack('>I2I4', items, start + length)
  at = from + bytes
  if not r then return 'n' end
  local same = r.node == node and r.session == session
  if mode == 'u' and r.node ~= '' and not same then return 'o' .. owner_of(r) end
  if mode ~= 'u' and (r.node == '' or not same) then return 'f' .. owner_of(r) end
  local before, was, due = r.position, owner_of(r), r.due
  local outcomes = append(mailbox, r, from, count)
  if mode == 'r' then r.node, r.session, r.seen = '', 0, math.floor(now / 60000) end
  if mode == 'r' or r.position > before or r.due ~= due then note(key) end
  return 's' .. struct.pack('>I6I2', before, count) .. outcomes .. was
end, function() settle(KEYS[1], now) end)
