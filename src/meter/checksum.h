// Checksum: CRC-32 as zlib computes it, of a record's few hundred bytes in a fifth of the time
// where the processor multiplies without carries.
#pragma once

#include <cstdint>
#include <string_view>

namespace penstock::meter {

// Goes on from `sum`, that of what came before; 0 at the beginning.
std::uint32_t Checksum(std::uint32_t sum, std::string_view bytes);

}  // namespace penstock::meter
