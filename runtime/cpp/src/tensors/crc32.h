// The checksum of zip files and PNG chunks (ISO 3309).
#pragma once

#include <cstdint>
#include <string_view>

namespace ob {

uint32_t crc32(std::string_view data);

} // namespace ob
