// PrefixIndex: which replicas have lately seen the beginning of a prompt.
//
// A bounded table of block hashes (policy/prompt_hash.h), four places to a set; a full set loses
// what was used longest ago. It guesses what lies in the replicas' prefix caches and may be wrong
// in both ways: a wrong guess costs a prefill, nothing else. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace penstock::policy {

// Replicas that one index tells apart; further ones are never preferred for what they hold.
inline constexpr std::size_t kIndexedReplicasMax = 64;

class PrefixIndex {
 public:
  // It grows with what it is given, up to 1.5 MiB, which stands for 32 MiB of prompts.
  static constexpr std::size_t kEntriesMin = 1024;
  static constexpr std::size_t kEntriesMax = 65'536;

  // Length, in blocks, of the longest known prefix of `blocks` at each place in [0, 64).
  using Matches = std::array<std::uint16_t, kIndexedReplicasMax>;
  Matches Match(std::span<const std::uint64_t> blocks);

  // The prompt was sent to the replica at `place`.
  void Insert(std::span<const std::uint64_t> blocks, std::size_t place);
  // The replica at `place` is gone, and all that it held.
  void Forget(std::size_t place);

  std::size_t bytes() const { return entries_.capacity() * sizeof(Entry); }

 private:
  static constexpr std::size_t kWays = 4;
  struct Entry {
    std::uint64_t hash = 0;
    std::uint64_t places = 0;  // Bit i: the replica at place i has it. 0: the entry is free.
    std::uint32_t used = 0;
  };
  Entry* Find(std::uint64_t hash);
  Entry& FindOrReplace(std::uint64_t hash);
  std::span<Entry, kWays> SetOf(std::uint64_t hash);
  void Grow();

  std::vector<Entry> entries_;  // Made at the first insertion. Its size is a power of two.
  std::size_t lost_ = 0;        // Entries that made room for others since it last grew.
  std::uint32_t tick_ = 0;
};

}  // namespace penstock::policy
