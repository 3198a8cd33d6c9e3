// Inflate (RFC 1951), for tensors that numpy compressed.
#pragma once

#include <string>
#include <string_view>

namespace ob {

// Unpacks `data` to exactly `size` bytes; false where it is damaged or holds another number of them.
bool inflate(std::string_view data, size_t size, std::string &out);

} // namespace ob
