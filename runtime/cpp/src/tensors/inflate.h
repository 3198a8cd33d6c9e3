// Inflate (RFC 1951), for tensors that numpy compressed and pixels of PNG files.
#pragma once

#include <string>
#include <string_view>

namespace ob {

// Unpacks `data` to exactly `size` bytes; false where it is damaged or holds another number of them.
bool inflate(std::string_view data, size_t size, std::string &out);

// Unpacks as much as there is, at most `limit` bytes; what is behind them is not looked at. False where it is damaged
// before.
bool inflate_up_to(std::string_view data, size_t limit, std::string &out);

} // namespace ob
