-- Removes what has expired and returns how many entries that was. A pass over n entries is not repeated within n ms.
local function prune(key, r, now)
  if r.count == 0 or r.due > now then return 0 end
  local before, due, from = r.count, math.huge, '-'
  repeat
    local page = redis.call('XRANGE', key, from, '+', 'COUNT', 128)
    local gone = {}
    for _, entry in ipairs(page) do
      local expiry = expiry_of(entry[2][2])
      if expiry > now then due = math.min(due, expiry) else gone[#gone + 1] = entry end
    end
    if #page > 0 then from = '(' .. page[#page][1] end
    drop(key, r, gone)
  until #page < 128
  r.due = r.count == 0 and 0 or math.max(due, now + r.count)
  return before - r.count
end
