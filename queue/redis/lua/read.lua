#!lua flags=allow-oom
-- Reads a page of each mailbox. What has expired on the way is skipped and removed.
-- USES: clock, record, counters, mailbox
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now, items: position I6 that it begins after, most entries I4, most bytes I4
-- RETURNS: for each item a list: n (no device), or p and the owner, then id of the stream and value of each entry
local now = clock(ARGV[1])

local out = for_each_record(KEYS, 2, 2, function(r, key, mailbox, i)
  if not r then return { 'n' } end
  local after, most, room = struct.unpack('>I6I4I4', ARGV[2], 14 * i - 13)
  local page, bytes, full = { 'p' .. owner_of(r) }, 0, false
  local from = string.format('%d-0', after + 1)
  while not full do
    local entries = redis.call('XRANGE', mailbox, from, '+', 'COUNT', 16)
    local ids, gone = {}, 0
    for _, entry in ipairs(entries) do
      local value = entry[2][2]
      local size = #value - HEADER
      if expiry_of(value) <= now then
        ids[#ids + 1] = entry[1]
        gone = gone + size
      else
        bytes = bytes + size
        full = #page > 1 and ((#page - 1) / 2 >= most or bytes > room)
        if full then break end
        page[#page + 1] = entry[1]
        page[#page + 1] = value
      end
    end
    if #ids > 0 then note(key) end
    drop(mailbox, r, ids, gone)
    if #entries < 16 then break end
    from = '(' .. entries[16][1]
  end
  return page
end)
count_up(KEYS[1], now)
return out
