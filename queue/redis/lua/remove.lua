#!lua flags=allow-oom
-- Removes entries, each named by its position and its id; what fits nothing is left alone.
-- USES: clock, record, counters, mailbox, payload, leaving
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now, items: count I2, (position I6, id of 16 bytes)...
-- RETURNS: how many entries were removed
local now, items, at, removed, emptied = clock(ARGV[1]), ARGV[2], 1, 0, {}

-- The entries at the positions: neighbours in one step, others each by itself.
local function entries_at(mailbox, positions, low, high)
  if high - low < 2 * #positions then
    return redis.call('XRANGE', mailbox, string.format('%d', low), string.format('%d', high))
  end
  local entries = {}
  for _, position in ipairs(positions) do
    local place = string.format('%d', position)
    entries[#entries + 1] = redis.call('XRANGE', mailbox, place, place)[1]
  end
  return entries
end

for_each_record(KEYS, 2, 2, function(r, key, mailbox)
  local count, start = struct.unpack('>I2', items, at)
  local positions, wanted, low, high = {}, {}, math.huge, 0
  for j = 1, count do
    local position, id
    position, id, start = struct.unpack('>I6c16', items, start)
    positions[j], wanted[position] = position, id
    low, high = math.min(low, position), math.max(high, position)
  end
  at = start
  if not r or count == 0 or emptied[mailbox] then return end
  -- Where it may be all that there is, all is read: what is removed whole is not taken out piece by piece.
  local entries = r.count <= count and redis.call('XRANGE', mailbox, '-', '+', 'COUNT', count + 1) or {}
  local is_all = #entries > 0 and #entries <= count
  if not is_all then entries = entries_at(mailbox, positions, low, high) end
  local gone = {}
  for _, entry in ipairs(entries) do
    local position = tonumber(string.match(entry[1], '^%d+'))
    if wanted[position] == string.sub(entry[2][2], 1, 16) then
      wanted[position] = nil
      gone[#gone + 1] = entry
    end
  end
  if #gone == 0 then return end
  note(key)
  if is_all and #gone == #entries then
    forgotten(mailbox, r, gone)
    emptied[mailbox] = true
    emptied[#emptied + 1] = mailbox
    r.count, r.bytes, added.mailboxes = 0, 0, added.mailboxes - 1
  else
    drop(mailbox, r, gone)
  end
  removed = removed + #gone
end, function()
  if #emptied > 0 then redis.call('DEL', unpack(emptied)) end
  settle(KEYS[1], now)
end)
return removed
