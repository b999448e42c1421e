#include "policy/replica_set.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace penstock::policy {
namespace {

bool Contains(std::span<const std::uint64_t> ids, std::uint64_t id) {
  return std::ranges::find(ids, id) != ids.end();
}

std::uint64_t Bit(std::size_t place) {
  return place < kIndexedReplicasMax ? std::uint64_t{1} << place : 0;
}

}  // namespace

void ReplicaSet::Configure(std::span<const ReplicaRoute> replicas, const PoolPolicy& policy) {
  concurrency_max_ = static_cast<std::size_t>(std::max(0, policy.replica_concurrency));
  tokens_per_s_ = policy.replica_cost_per_s;
  unread_max_ = tokens_per_s_ * Seconds(policy.prefill_ahead);
  for (Replica& replica : replicas_) replica.known = false;
  for (const ReplicaRoute& route : replicas) {
    Replica* found = Find(route.id);
    if (found == nullptr) {
      // A free place is taken up again, so that places stay below kIndexedReplicasMax.
      const auto free = std::ranges::find(replicas_, std::uint64_t{0}, &Replica::id);
      found = free == replicas_.end() ? &replicas_.emplace_back() : &*free;
      *found = {.id = route.id};
    }
    found->known = true;
    found->ready = route.state == ReplicaState::kReady;
  }
  DropGone();
  ready_ = static_cast<std::size_t>(
      std::ranges::count_if(replicas_, [](const Replica& r) { return r.id != 0 && r.ready; }));
}

void ReplicaSet::DropGone() {
  for (std::size_t place = 0; place < replicas_.size(); ++place) {
    Replica& replica = replicas_[place];
    if (replica.id == 0 || replica.known) continue;
    replica.ready = false;
    if (replica.in_flight != 0) continue;
    index_.Forget(place);
    replica = {};
  }
}

ReplicaSet::Replica* ReplicaSet::Find(std::uint64_t id) {
  const auto found = std::ranges::find(replicas_, id, &Replica::id);
  return found == replicas_.end() ? nullptr : &*found;
}

bool ReplicaSet::HasPlace(const Replica& replica) const {
  return replica.id != 0 && replica.ready &&
         (concurrency_max_ == 0 || replica.in_flight < concurrency_max_);
}

bool ReplicaSet::IsHealthy(const Replica& replica, TimePoint now) {
  return replica.failures < kFailuresMax || (now >= replica.rests_until && !replica.probing);
}

Duration ReplicaSet::PatienceFor(double tokens) const {
  constexpr double kLongest = 1e6;  // Seconds: keeps the conversion defined.
  return Duration(static_cast<std::int64_t>(1e9 * std::min(4 * tokens / tokens_per_s_, kLongest)));
}

double ReplicaSet::UnreadOf(const Replica& replica, TimePoint now) const {
  const double told = now > replica.patient_until ? 0 : replica.unread;
  const double read = tokens_per_s_ * Seconds(now - replica.untold_at);
  return told + std::max(0.0, replica.unread_untold - read);
}

bool ReplicaSet::HasFewAhead(const Replica& replica, TimePoint now) const {
  // Most have none, and there may be thousands: those are told without a look at the time.
  if (unread_max_ == 0 || (replica.unread == 0 && replica.unread_untold == 0)) return true;
  return UnreadOf(replica, now) < unread_max_;
}

bool ReplicaSet::HasRoom(const Replica& replica, TimePoint now) const {
  return HasPlace(replica) && HasFewAhead(replica, now);
}

bool ReplicaSet::HasRoom(TimePoint now) const {
  return std::ranges::any_of(replicas_, [&](const Replica& r) { return HasRoom(r, now); });
}

bool ReplicaSet::HasPlace() const {
  return std::ranges::any_of(replicas_, [this](const Replica& r) { return HasPlace(r); });
}

TimePoint ReplicaSet::RoomAt(TimePoint now) const {
  TimePoint first = TimePoint::max();
  if (unread_max_ == 0 || HasRoom(now)) return first;  // Whatever they wait for, it is not this.
  for (const Replica& replica : replicas_) {
    if (!HasPlace(replica)) continue;
    if (replica.unread >= unread_max_ && now <= replica.patient_until) {
      first = std::min(first, replica.patient_until + Duration(1));
      continue;
    }
    constexpr double kLongest = 1e6;
    const double over = UnreadOf(replica, now) - unread_max_;
    const double seconds = std::clamp(over / tokens_per_s_, 0.0, kLongest);
    first = std::min(first, now + Duration(static_cast<std::int64_t>(seconds * 1e9) + 1));
  }
  return first;
}

Duration ReplicaSet::PrefillAhead(TimePoint now) const {
  if (tokens_per_s_ <= 0) return {};
  double least = INFINITY;
  for (const Replica& replica : replicas_) {
    if (HasPlace(replica)) least = std::min(least, UnreadOf(replica, now));
  }
  if (least == INFINITY) return {};
  return Duration(static_cast<std::int64_t>(std::min(1e9 * least / tokens_per_s_, 1e18)));
}

double ReplicaSet::Saturation() const {
  if (concurrency_max_ == 0) return 0;
  if (ready_ == 0) return 1;
  return static_cast<double>(in_flight_) / static_cast<double>(concurrency_max_ * ready_);
}

double ReplicaSet::ScoreOf(std::size_t place, const PrefixIndex::Matches& matches,
                           std::uint64_t session_mask, const PromptPrefix& prefix) const {
  const double blocks = place < kIndexedReplicasMax ? matches[place] : 0;
  const double session = (session_mask & Bit(place)) != 0 ? kSessionTokens : 0;
  return blocks * prefix.tokens_per_block + session - kLoadWeight * replicas_[place].cost;
}

std::size_t ReplicaSet::BestCandidate(const PromptPrefix& prefix) {
  if (candidates_.size() == 1) return candidates_[0];
  const PrefixIndex::Matches matches = index_.Match(prefix.blocks);
  std::uint64_t session_mask = 0;
  if (prefix.session != 0) {
    const PrefixIndex::Matches session = index_.Match(std::span(&prefix.session, 1));
    for (std::size_t i = 0; i < session.size(); ++i) session_mask |= session[i] != 0 ? Bit(i) : 0;
  }
  double best = -INFINITY;
  std::size_t equals = 0;  // As good as the best so far; they are moved to the front.
  for (const std::size_t place : candidates_) {
    const double score = ScoreOf(place, matches, session_mask, prefix);
    if (score < best) continue;
    if (score > best) equals = 0;
    best = score;
    candidates_[equals++] = place;
  }
  // Two choices: of two of them by chance the one with less in flight.
  const std::size_t one = candidates_[random_.Below(equals)];
  const std::size_t other = candidates_[random_.Below(equals)];
  return replicas_[other].in_flight < replicas_[one].in_flight ? other : one;
}

std::optional<std::uint64_t> ReplicaSet::Choose(const PromptPrefix& prefix,
                                                std::span<const std::uint64_t> tried,
                                                TimePoint now) {
  candidates_.clear();
  bool has_room = false;
  const Replica* last_resort = nullptr;
  for (std::size_t place = 0; place < replicas_.size(); ++place) {
    const Replica& replica = replicas_[place];
    if (!HasPlace(replica) || Contains(tried, replica.id)) continue;
    const bool room = HasFewAhead(replica, now);
    if (room && !has_room) {  // Those so far had only a place.
      candidates_.clear();
      last_resort = nullptr;
      has_room = true;
    }
    if (has_room && !room) continue;
    if (IsHealthy(replica, now)) candidates_.push_back(place);
    if (last_resort == nullptr || replica.rests_until < last_resort->rests_until) {
      last_resort = &replica;
    }
  }
  if (!candidates_.empty()) return replicas_[BestCandidate(prefix)].id;
  if (last_resort != nullptr) return last_resort->id;
  return std::nullopt;
}

void ReplicaSet::Begin(std::uint64_t id, double cost, const PromptPrefix& prefix, TimePoint now) {
  Replica* const replica = Find(id);
  CHECK(replica != nullptr, "a chosen replica is there");
  ++replica->in_flight;
  ++in_flight_;
  replica->cost += cost;
  if (replica->failures >= kFailuresMax && now >= replica->rests_until) replica->probing = true;
  if (ready_ < 2) return;  // Nothing to choose between: nothing to remember.
  const auto place = static_cast<std::size_t>(replica - replicas_.data());
  index_.Insert(prefix.blocks, place);
  if (prefix.session != 0) index_.Insert(std::span(&prefix.session, 1), place);
}

void ReplicaSet::AddPrompt(std::uint64_t id, double tokens, bool told, TimePoint now) {
  Replica* const replica = Find(id);
  if (replica == nullptr || unread_max_ == 0) return;
  if (told) {
    if (replica->unread == 0) replica->patient_until = now + kReadPatience;
    if (now <= replica->patient_until) replica->patient_until += PatienceFor(tokens);
    replica->unread += tokens;
  } else {
    const double read = tokens_per_s_ * Seconds(now - replica->untold_at);
    replica->unread_untold = std::max(0.0, replica->unread_untold - read) + tokens;
    replica->untold_at = now;
  }
}

void ReplicaSet::Read(std::uint64_t id, double tokens, TimePoint now) {
  Replica* const replica = Find(id);
  if (replica == nullptr || tokens == 0) return;
  replica->unread = std::max(0.0, replica->unread - tokens);
  if (tokens_per_s_ <= 0) return;
  replica->patient_until = now + kReadPatience + PatienceFor(replica->unread);
}

void ReplicaSet::Adjust(std::uint64_t id, double cost_change) {
  if (Replica* const replica = Find(id)) replica->cost += cost_change;
}

void ReplicaSet::End(std::uint64_t id, double cost, Fate fate, TimePoint now) {
  Replica* const replica = Find(id);
  CHECK(replica != nullptr && replica->in_flight > 0, "a replica outlives its requests here");
  --replica->in_flight;
  --in_flight_;
  replica->cost = replica->in_flight == 0 ? 0 : replica->cost - cost;
  if (replica->in_flight == 0) replica->unread = replica->unread_untold = 0;
  replica->probing = false;
  if (fate == Fate::kGood || fate == Fate::kBusy) replica->failures = 0;
  if (fate == Fate::kFailed && replica->failures < 255) ++replica->failures;
  if (fate == Fate::kFailed && replica->failures >= kFailuresMax) {
    // The exponent is bounded before it is used.
    const int doublings = std::min(replica->failures - kFailuresMax, 8);
    if (replica->failures == kFailuresMax) ++circuits_opened_;
    replica->rests_until = now + std::min<Duration>(kRestMax, kRestMin * (1 << doublings));
  }
  if (!replica->known) DropGone();
}

std::size_t ReplicaSet::circuits_open(TimePoint now) const {
  return static_cast<std::size_t>(std::ranges::count_if(replicas_, [now](const Replica& replica) {
    return replica.id != 0 && replica.failures >= kFailuresMax && now < replica.rests_until;
  }));
}

}  // namespace penstock::policy
