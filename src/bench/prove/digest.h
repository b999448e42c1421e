// Digest: SHA-256 of a text, so that a page can be matched with its evidence.
#pragma once

#include <string>
#include <string_view>

namespace penstock::bench {

// 64 hexadecimal digits.
std::string HexSha256(std::string_view text);

}  // namespace penstock::bench
