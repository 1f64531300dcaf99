#!lua flags=allow-oom
-- Removes entries, each named by its position and its id; what fits nothing is left alone.
-- USES: clock, record, counters, mailbox
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now, items: count I2, (position I6, id of 16 bytes)...
-- RETURNS: how many entries were removed
local now, items, at, removed = clock(ARGV[1]), ARGV[2], 1, 0

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

for i = 1, (#KEYS - 1) / 2 do
  local owner, mailbox = KEYS[2 * i], KEYS[2 * i + 1]
  local count, start = struct.unpack('>I2', items, at)
  local positions, wanted, low, high = {}, {}, math.huge, 0
  for j = 1, count do
    local id
    positions[j], id, start = struct.unpack('>I6c16', items, start)
    wanted[string.format('%d', positions[j]) .. id] = true
    low, high = math.min(low, positions[j]), math.max(high, positions[j])
  end
  at = start
  local ids, bytes = {}, 0
  for _, entry in ipairs(count > 0 and entries_at(mailbox, positions, low, high) or {}) do
    local name = string.match(entry[1], '^%d+') .. string.sub(entry[2][2], 1, 16)
    if wanted[name] then
      wanted[name] = nil
      ids[#ids + 1] = entry[1]
      bytes = bytes + #entry[2][2] - HEADER
    end
  end
  local r = #ids > 0 and recall(owner)
  if r then
    removed = removed + #ids
    drop(mailbox, r, ids, bytes)
    note(owner, r)
  end
end
count_up(KEYS[1], now)
return removed
