-- These entries leave a mailbox, after all that they refer to is known. Returns their ids.
local function forgotten(mailbox, r, entries)
  local ids, bytes, fewer = {}, 0, {}
  for i, entry in ipairs(entries) do
    local value = entry[2][2]
    ids[i], bytes = entry[1], bytes + size_of(value)
    if byte(value, 17) > 1 then meet(mailbox, value, fewer) end
  end
  let_go(fewer)
  added.envelopes, added.bytes, added.removed = added.envelopes - #ids, added.bytes - bytes, true
  r.count, r.bytes = r.count - #ids, math.max(0, r.bytes - bytes)
  return ids
end

local function drop(mailbox, r, entries)
  if #entries == 0 then return end
  local ids = forgotten(mailbox, r, entries)
  if r.count <= 0 then r.count = redis.call('XLEN', mailbox) - #ids end
  if r.count > 0 then
    redis.call('XDEL', mailbox, unpack(ids))
  else
    added.mailboxes = added.mailboxes - 1
    redis.call('DEL', mailbox)
  end
end
