#include "policy/prefix_index.h"

#include <algorithm>
#include <bit>

namespace penstock::policy {

std::span<PrefixIndex::Entry, PrefixIndex::kWays> PrefixIndex::SetOf(std::uint64_t hash) {
  const std::size_t set = hash & (entries_.size() / kWays - 1);
  return std::span<Entry, kWays>(entries_.data() + set * kWays, kWays);
}

PrefixIndex::Entry* PrefixIndex::Find(std::uint64_t hash) {
  if (entries_.empty()) return nullptr;
  for (Entry& entry : SetOf(hash)) {
    if (entry.hash == hash && entry.places != 0) return &entry;
  }
  return nullptr;
}

PrefixIndex::Entry& PrefixIndex::FindOrReplace(std::uint64_t hash) {
  if (Entry* const found = Find(hash)) return *found;
  // Ages, not ticks, are compared: the tick may have wrapped.
  const auto age = [this](const Entry& entry) {
    return entry.places == 0 ? UINT32_MAX : tick_ - entry.used;
  };
  Entry& oldest = *std::ranges::max_element(SetOf(hash), {}, age);
  if (oldest.places != 0) ++lost_;
  oldest = {.hash = hash, .places = 0, .used = tick_};
  return oldest;
}

void PrefixIndex::Grow() {
  std::vector<Entry> old(entries_.empty() ? kEntriesMin : entries_.size() * 4);
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (entry.places != 0) FindOrReplace(entry.hash) = entry;
  }
  lost_ = 0;
}

PrefixIndex::Matches PrefixIndex::Match(std::span<const std::uint64_t> blocks) {
  Matches matches{};
  ++tick_;
  std::uint64_t alive = ~std::uint64_t{0};
  for (std::size_t i = 0; i < blocks.size() && alive != 0; ++i) {
    Entry* const entry = Find(blocks[i]);
    const std::uint64_t here = entry == nullptr ? 0 : entry->places & alive;
    for (std::uint64_t lost = i == 0 ? 0 : alive & ~here; lost != 0; lost &= lost - 1) {
      matches[static_cast<std::size_t>(std::countr_zero(lost))] = static_cast<std::uint16_t>(i);
    }
    alive = here;
    if (entry != nullptr) entry->used = tick_;
  }
  if (blocks.empty()) return matches;
  for (; alive != 0; alive &= alive - 1) {
    matches[static_cast<std::size_t>(std::countr_zero(alive))] =
        static_cast<std::uint16_t>(blocks.size());
  }
  return matches;
}

void PrefixIndex::Insert(std::span<const std::uint64_t> blocks, std::size_t place) {
  if (place >= kIndexedReplicasMax || blocks.empty()) return;
  const bool crowded = lost_ * 32 > entries_.size() && entries_.size() < kEntriesMax;
  if (entries_.empty() || crowded) Grow();
  for (const std::uint64_t hash : blocks) {
    Entry& entry = FindOrReplace(hash);
    entry.places |= std::uint64_t{1} << place;
    entry.used = tick_;
  }
}

void PrefixIndex::Forget(std::size_t place) {
  if (place >= kIndexedReplicasMax) return;
  for (Entry& entry : entries_) entry.places &= ~(std::uint64_t{1} << place);
}

}  // namespace penstock::policy
