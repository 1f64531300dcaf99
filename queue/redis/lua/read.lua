#!lua flags=allow-oom
-- Reads a page of each mailbox. What has expired on the way is skipped and removed, and so is what refers to no payload.
-- USES: clock, record, counters, mailbox, payload, leaving
-- KEYS: counters, then owner record and mailbox of each item
-- ARGV: now, items: position I6 that it begins after, most entries I4, most bytes I4
-- RETURNS: for each item a list: n (no device), or p, how many entries could not be resolved I4, the owner; then id of the
-- stream and value of each entry, behind which its payload stands
local now = clock(ARGV[1])

-- A reference with its ciphertext at the end; nil where that is gone.
local function resolved(mailbox, value)
  local p = payload_of(mailbox, value)
  return p.count > 0 and value .. redis.call('GETRANGE', p.at, 8, -1) or nil
end

return for_each_record(KEYS, 2, 2, function(r, key, mailbox, i)
  if not r then return { 'n' } end
  local after, most, room = struct.unpack('>I6I4I4', ARGV[2], 14 * i - 13)
  local page, bytes, full, unresolved = { 'p' }, 0, false, 0
  local from = string.format('%d-0', after + 1)
  while not full do
    local entries = redis.call('XRANGE', mailbox, from, '+', 'COUNT', 16)
    local gone = {}
    for _, entry in ipairs(entries) do
      local value = entry[2][2]
      local whole = expiry_of(value) > now and (byte(value, 17) < 2 and value or resolved(mailbox, value))
      if not whole then
        gone[#gone + 1] = entry
        if whole == nil then unresolved = unresolved + 1 end
      else
        bytes = bytes + size_of(whole)
        full = #page > 1 and ((#page - 1) / 2 >= most or bytes > room)
        if full then break end
        page[#page + 1] = entry[1]
        page[#page + 1] = whole
      end
    end
    if #gone > 0 then note(key) end
    drop(mailbox, r, gone)
    if #entries < 16 then break end
    from = '(' .. entries[16][1]
  end
  page[1] = 'p' .. struct.pack('>I4', unresolved) .. owner_of(r)
  return page
end, function() settle(KEYS[1], now) end)
