// SimPrefixCache: the beginnings of prompts that a replica still has. Blocks that were used longest
// ago make room for others. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>

namespace penstock::plan {

class SimPrefixCache {
 public:
  // In blocks; 0: nothing is kept.
  explicit SimPrefixCache(std::size_t capacity) : capacity_(capacity) {}

  // How many of the first blocks are there; then all are. `chain`: hash i stands for everything up
  // to the end of block i.
  std::size_t Use(std::span<const std::uint64_t> chain);
  void Clear();

 private:
  std::size_t capacity_;
  std::list<std::uint64_t> order_;  // The one used last first.
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> places_;
};

}  // namespace penstock::plan
