// Blocks of cells by the hash of their tokens.
#include "engine/prefix_store.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace penstock::engine {

PrefixStore::PrefixStore(std::size_t bytes_max, std::size_t cell_bytes)
    : block_bytes_(cell_bytes * kBlockTokens),
      blocks_max_(block_bytes_ == 0 ? 0 : bytes_max / block_bytes_) {}

PrefixStore::Hash PrefixStore::HashOf(Hash parent, std::span<const TokenId> tokens) {
  Hash hash = parent * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u;
  for (const TokenId token : tokens) {
    hash ^= static_cast<std::uint32_t>(token);
    hash *= 0xFF51AFD7ED558CCDu;
    hash ^= hash >> 29;
  }
  return hash == 0 ? 1 : hash;
}

template <typename Each>
int PrefixStore::Walk(std::span<const TokenId> tokens, const Each& each) const {
  Hash parent = 0;
  int length = 0;
  while (tokens.size() - static_cast<std::size_t>(length) >= kBlockTokens) {
    const auto block_tokens = tokens.subspan(static_cast<std::size_t>(length), kBlockTokens);
    const Hash hash = HashOf(parent, block_tokens);
    const auto found = blocks_.find(hash);
    if (found == blocks_.end() || found->second.parent != parent ||
        !std::ranges::equal(found->second.tokens, block_tokens) || !each(hash)) {
      break;
    }
    parent = hash;
    length += kBlockTokens;
  }
  return length;
}

int PrefixStore::Match(std::span<const TokenId> tokens) const {
  return Walk(tokens, [](Hash) { return true; });
}

std::vector<std::span<const std::uint8_t>> PrefixStore::Find(std::span<const TokenId> tokens,
                                                             int length) {
  std::vector<Hash> path;
  Walk(tokens.first(static_cast<std::size_t>(length)), [&path](Hash hash) {
    path.push_back(hash);
    return true;
  });
  std::vector<std::span<const std::uint8_t>> cells;
  ++uses_;
  for (const Hash hash : path) {
    Block& block = blocks_.at(hash);
    Touch(hash, block);
    cells.emplace_back(block.cells.get(), block_bytes_);
  }
  return cells;
}

void PrefixStore::Touch(Hash hash, Block& block) {
  if (leaves_.erase({block.used, hash}) > 0) leaves_.insert({uses_, hash});
  block.used = uses_;
}

void PrefixStore::Insert(std::span<const TokenId> tokens, std::span<const std::uint8_t> cells) {
  ++uses_;
  Hash parent = 0;
  int length = Walk(tokens, [this, &parent](Hash hash) {
    Touch(hash, blocks_.at(hash));
    parent = hash;
    return true;
  });
  while (cells.size() >= block_bytes_ &&
         tokens.size() - static_cast<std::size_t>(length) >= kBlockTokens) {
    const auto block_tokens = tokens.subspan(static_cast<std::size_t>(length), kBlockTokens);
    const Hash hash = HashOf(parent, block_tokens);
    // A different block of the same hash: one in 2^64. It stays.
    if (blocks_.contains(hash) || !MakeRoom(parent)) return;
    Block block{.parent = parent, .cells = TakeMemory(), .used = uses_};
    std::ranges::copy(block_tokens, block.tokens.begin());
    std::memcpy(block.cells.get(), cells.data(), block_bytes_);
    blocks_.emplace(hash, std::move(block));
    leaves_.insert({uses_, hash});
    if (parent != 0) {
      Block& before = blocks_.at(parent);
      if (before.children++ == 0) leaves_.erase({before.used, parent});
    }
    parent = hash;
    length += kBlockTokens;
    cells = cells.subspan(block_bytes_);
  }
}

// False when nothing can go but `kept`, the block to be continued.
bool PrefixStore::MakeRoom(Hash kept) {
  while (blocks_.size() >= blocks_max_) {
    auto leaf = leaves_.begin();
    if (leaf != leaves_.end() && leaf->second == kept) ++leaf;
    if (leaf == leaves_.end()) return false;
    const auto found = blocks_.find(leaf->second);
    CHECK(found != blocks_.end() && found->second.children == 0, "a leaf is a block that ends");
    const Hash parent = found->second.parent;
    leaves_.erase(leaf);
    spare_.push_back(std::move(found->second.cells));
    blocks_.erase(found);
    ++blocks_dropped_;
    if (parent == 0) continue;
    Block& before = blocks_.at(parent);
    if (--before.children == 0) leaves_.insert({before.used, parent});
  }
  return true;
}

std::unique_ptr<std::uint8_t[]> PrefixStore::TakeMemory() {
  if (spare_.empty()) return std::make_unique_for_overwrite<std::uint8_t[]>(block_bytes_);
  auto memory = std::move(spare_.back());
  spare_.pop_back();
  return memory;
}

}  // namespace penstock::engine
