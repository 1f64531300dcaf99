-- Deletes a mailbox whole; 1 where there was one.
local function clear(mailbox)
  local gone, from = {}, '-'
  repeat
    local page = redis.call('XRANGE', mailbox, from, '+', 'COUNT', 128)
    for _, entry in ipairs(page) do
      from = '(' .. entry[1]
      if place_of(mailbox, entry[2][2]) then gone[#gone + 1] = entry end
    end
  until #page < 128
  let_go(mailbox, gone)
  return redis.call('DEL', mailbox)
end
