// ReplicaSet: the replicas of a pool: how full each is, how it fares, and which one a request gets.
//
// A pure state machine. A request goes where `prefill saved - load penalty` is highest, among those
// that have room; equals are settled by the power of two choices. A replica that fails kFailuresMax
// times in a row is left alone for a while that doubles, then tried with one request at a time.
// The last one is never left alone: where all are in trouble, the one that is due first is asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "policy/endpoint_policy.h"
#include "policy/prefix_index.h"
#include "policy/routing_table.h"

namespace penstock::policy {

// What a prompt has in common with others.
struct PromptPrefix {
  std::vector<std::uint64_t> blocks = {};  // policy/prompt_hash.h
  std::uint64_t session = 0;               // Hash of what the client calls its session; 0: none.
  double tokens_per_block = 128;
};

class ReplicaSet {
 public:
  static constexpr int kFailuresMax = 3;
  static constexpr Duration kRestMin = std::chrono::seconds(1);
  static constexpr Duration kRestMax = std::chrono::seconds(30);
  // A unit of cost in flight weighs against this much saved prefill.
  static constexpr double kLoadWeight = 0.15;
  // Prompts that are not told to be read for so long, and four times what they take, count no more:
  // a stream that hangs must not keep others from its replica.
  static constexpr Duration kReadPatience = std::chrono::seconds(2);
  // What it is worth to stay with a session's replica, in tokens of prefill.
  static constexpr double kSessionTokens = 512;

  // The replicas that there are now. One that is missing takes nothing new, and is forgotten when
  // its last request has ended.
  void Configure(std::span<const ReplicaRoute> replicas, const PoolPolicy& policy);

  // Replicas that are ready, whatever their state of health; and the places that they have.
  std::size_t ready() const { return ready_; }
  // Whether a replica has a place, and few enough prompts before the next one.
  bool HasRoom(TimePoint now) const;
  // Whether one has a place, however many prompts stand before it.
  bool HasPlace() const;
  // When HasRoom() turns true by the passing of time alone; max(): not before news, or it is.
  TimePoint RoomAt(TimePoint now) const;
  // The time that the prompts take which stand before the next one, where there are fewest.
  Duration PrefillAhead(TimePoint now) const;
  // Share of places taken; 0 where places are not counted.
  double Saturation() const;
  std::size_t in_flight() const { return in_flight_; }

  // The replica for a request: of those with room, else of those with a place. `tried` are left
  // out.
  std::optional<std::uint64_t> Choose(const PromptPrefix& prefix,
                                      std::span<const std::uint64_t> tried, TimePoint now);
  // A request of `cost` begins there. Follows Choose() at once.
  void Begin(std::uint64_t replica, double cost, const PromptPrefix& prefix, TimePoint now);
  // A prompt of so many tokens goes there with it. `told`: Read() will say when it was answered.
  // Else it is taken for read after the time that such prompts take.
  void AddPrompt(std::uint64_t replica, double tokens, bool told, TimePoint now);
  void Read(std::uint64_t replica, double tokens, TimePoint now);
  // Its cost changed while it ran.
  void Adjust(std::uint64_t replica, double cost_change);

  enum class Fate : std::uint8_t {
    kGood,     // It answered, if only to refuse the request for what it is.
    kFailed,   // It could not be reached, broke off, or answered 5xx.
    kBusy,     // It answered 429 or 503: it lives, and has no room.
    kUnknown,  // The client left first.
  };
  void End(std::uint64_t replica, double cost, Fate fate, TimePoint now);

  // Whether AddPrompt() and Read() matter.
  bool bounds_prompts() const { return unread_max_ > 0; }

  std::uint64_t circuits_opened() const { return circuits_opened_; }
  std::size_t circuits_open(TimePoint now) const;
  std::size_t index_bytes() const { return index_.bytes(); }

 private:
  // One line of the cache: a choice looks at each of thousands.
  struct alignas(64) Replica {
    std::uint64_t id = 0;
    std::uint32_t in_flight = 0;
    std::uint8_t failures = 0;  // In a row; stays at 255.
    bool ready = false;
    bool known = true;     // In the routing table.
    bool probing = false;  // One request tries whether it is back.
    double cost = 0;
    double unread = 0;          // Prompt tokens that Read() will tell of,
    TimePoint patient_until{};  // until then;
    double unread_untold = 0;   // and others, as of `untold_at`.
    TimePoint untold_at{};
    TimePoint rests_until{};  // Past: takes requests.
  };
  static_assert(sizeof(Replica) == 64);
  Replica* Find(std::uint64_t id);
  bool HasPlace(const Replica& replica) const;
  double UnreadOf(const Replica& replica, TimePoint now) const;
  Duration PatienceFor(double tokens) const;
  bool HasFewAhead(const Replica& replica, TimePoint now) const;
  bool HasRoom(const Replica& replica, TimePoint now) const;
  static bool IsHealthy(const Replica& replica, TimePoint now);
  double ScoreOf(std::size_t place, const PrefixIndex::Matches& matches, std::uint64_t session_mask,
                 const PromptPrefix& prefix) const;
  // Of candidates_, at least one; it is left in another order.
  std::size_t BestCandidate(const PromptPrefix& prefix);
  void DropGone();

  std::vector<Replica> replicas_;  // A replica's place is that of the index; see free_places_.
  std::size_t concurrency_max_ = 0;
  double tokens_per_s_ = 0;  // That a replica reads. 0: unknown.
  double unread_max_ = 0;    // 0: no bound.
  std::size_t ready_ = 0;
  std::size_t in_flight_ = 0;
  std::uint64_t circuits_opened_ = 0;
  PrefixIndex index_;
  Random random_{0x70656e73746f636bu};
  std::vector<std::size_t> candidates_;  // Kept for its memory.
};

}  // namespace penstock::policy
