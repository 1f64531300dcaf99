-- Deletes a mailbox whole; 1 where there was one.
local function clear(mailbox)
  local fewer, from = {}, '-'
  repeat
    local page = redis.call('XRANGE', mailbox, from, '+', 'COUNT', 128)
    for _, entry in ipairs(page) do
      from = '(' .. entry[1]
      if byte(entry[2][2], 17) > 1 then meet(mailbox, entry[2][2], fewer) end
    end
  until #page < 128
  let_go(fewer)
  return redis.call('DEL', mailbox)
end
