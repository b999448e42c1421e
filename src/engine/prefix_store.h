// PrefixStore: cells of prompts and answers that were computed, kept in the host's memory in blocks
// of tokens, for prompts to come that begin alike.
//
// A block is found by a hash over its tokens and all before them, and checked token by token.
// Blocks form trees: a block counts those that continue it, and only one that none continues is let
// go, the least recently used first. Belongs to one thread. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/request.h"

namespace penstock::engine {

class PrefixStore {
 public:
  static constexpr int kBlockTokens = 64;

  // Holds as many blocks as `bytes_max` has room for; 0 holds none.
  PrefixStore(std::size_t bytes_max, std::size_t cell_bytes);

  // How many of the first tokens are stored: a multiple of kBlockTokens.
  int Match(std::span<const TokenId> tokens) const;

  // The cells of the first `length` tokens, block by block; `length` is at most Match(tokens). Good
  // until the next Insert().
  std::vector<std::span<const std::uint8_t>> Find(std::span<const TokenId> tokens, int length);

  // Stores the blocks behind the first Match(tokens) tokens: `cells` has theirs, block by block.
  // May store fewer than were given, where there is no room; what is incomplete at the end is not
  // stored.
  void Insert(std::span<const TokenId> tokens, std::span<const std::uint8_t> cells);

  std::size_t block_bytes() const { return block_bytes_; }
  std::size_t blocks() const { return blocks_.size(); }
  std::size_t blocks_max() const { return blocks_max_; }
  std::uint64_t blocks_dropped() const { return blocks_dropped_; }

 private:
  using Hash = std::uint64_t;
  struct Block {
    Hash parent = 0;  // 0: the first.
    std::array<TokenId, kBlockTokens> tokens{};
    std::unique_ptr<std::uint8_t[]> cells;
    int children = 0;
    std::uint64_t used = 0;  // When last, in uses.
  };

  static Hash HashOf(Hash parent, std::span<const TokenId> tokens);
  // Calls `each` with the hash of one stored block after the other, from the first.
  template <typename Each>
  int Walk(std::span<const TokenId> tokens, const Each& each) const;
  void Touch(Hash hash, Block& block);
  bool MakeRoom(Hash kept);
  std::unique_ptr<std::uint8_t[]> TakeMemory();

  std::size_t block_bytes_;
  std::size_t blocks_max_;
  std::unordered_map<Hash, Block> blocks_;
  std::set<std::pair<std::uint64_t, Hash>> leaves_;     // By use.
  std::vector<std::unique_ptr<std::uint8_t[]>> spare_;  // Memory of blocks that went.
  std::uint64_t uses_ = 0;
  std::uint64_t blocks_dropped_ = 0;
};

}  // namespace penstock::engine
