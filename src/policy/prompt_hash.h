// PromptHash: a prompt's text as a chain of block hashes, at the speed of memory.
//
// Hash i stands for everything up to the end of block i, so two prompts share a prefix of n blocks
// exactly if (but for chance, 2^-64) their first n hashes are equal. Not for security. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace penstock::policy {

inline constexpr std::size_t kPromptBlockBytes = 512;  // About 128 tokens.
inline constexpr std::size_t kPromptBlocksMax = 1024;  // What lies behind is not told apart.

// `seed` separates what must not be taken for equal.
std::uint64_t HashBytes(std::string_view bytes, std::uint64_t seed);

// Appends the hash of each whole block of `text`, kPromptBlocksMax at most.
void AppendBlockHashes(std::string_view text, std::uint64_t seed,
                       std::vector<std::uint64_t>& hashes);

}  // namespace penstock::policy
