#include "bench/prove/digest.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <array>

namespace penstock::bench {

std::string HexSha256(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

}  // namespace penstock::bench
