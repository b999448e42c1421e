// Four independent lanes of multiply-and-fold (128-bit products), 64 bytes a round: the multiplier
// is the limit, not the memory.
#include "policy/prompt_hash.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/random.h"

namespace penstock::policy {
namespace {

constexpr std::array<std::uint64_t, 4> kSalt = {0x9E3779B97F4A7C15u, 0xC2B2AE3D27D4EB4Fu,
                                                0x165667B19E3779F9u, 0xD6E8FEB86659FD93u};

std::uint64_t Fold(std::uint64_t a, std::uint64_t b) {
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t Word(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// One round: 64 bytes.
void Round(const char* at, std::array<std::uint64_t, 4>& lanes) {
  for (std::size_t i = 0; i < 4; ++i) {
    lanes[i] = Fold(Word(at + 16 * i) ^ kSalt[i], Word(at + 16 * i + 8) ^ lanes[i]);
  }
}

}  // namespace

std::uint64_t HashBytes(std::string_view bytes, std::uint64_t seed) {
  std::array<std::uint64_t, 4> lanes{};
  for (std::size_t i = 0; i < 4; ++i) lanes[i] = seed ^ kSalt[3 - i];
  std::size_t at = 0;
  for (; at + 64 <= bytes.size(); at += 64) Round(bytes.data() + at, lanes);
  if (at < bytes.size()) {
    std::array<char, 64> last{};
    std::memcpy(last.data(), bytes.data() + at, bytes.size() - at);
    Round(last.data(), lanes);
  }
  const std::uint64_t size = bytes.size() * kSalt[0];
  return Fold(lanes[0] ^ lanes[1] ^ size, lanes[2] ^ lanes[3] ^ kSalt[1]);
}

void AppendBlockHashes(std::string_view text, std::uint64_t seed,
                       std::vector<std::uint64_t>& hashes) {
  const std::size_t blocks = std::min(text.size() / kPromptBlockBytes, kPromptBlocksMax);
  hashes.reserve(hashes.size() + blocks);
  std::uint64_t chain = seed;
  for (std::size_t i = 0; i < blocks; ++i) {
    chain = HashBytes(text.substr(i * kPromptBlockBytes, kPromptBlockBytes), chain);
    hashes.push_back(chain);
  }
}

}  // namespace penstock::policy
