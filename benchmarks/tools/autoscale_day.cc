// autoscale_day SERIES [START_DELAY_S]: a day of offered load against a simulated fleet, scaled by
// policy/autoscale.h and, beside it, by Kubernetes' rule (served utilisation, 300 s stabilisation).
// Prints a line of `name value` for each figure.
//
// The fleet is a fluid: a replica that is ready does K cost/s, first come, first served; within a
// step of 2 s cost arrives evenly. Late is what arrives when more than 2 s of work wait before it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "policy/autoscale.h"

namespace penstock {
namespace {

using std::chrono::seconds;

constexpr double kIdealReplicas = 10;  // Of the day's mean.
constexpr int kStepS = 2;
constexpr double kLateAfterS = 2;
constexpr int kReplicasMax = 200;

std::vector<double> ReadSeries(const char* path) {
  std::vector<double> series;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    for (double thousands = 0; words >> thousands;) series.push_back(thousands * 1000);
  }
  return series;
}

// Replicas that are ready or on their way, and the queue before them.
class Fleet {
 public:
  Fleet(double capacity, int start_delay_s, int replicas)
      : capacity_(capacity), start_delay_s_(start_delay_s), ready_(replicas) {}

  void Want(int replicas, int now_s) {
    while (wanted() < replicas) starting_.push_back(now_s + start_delay_s_);
    while (wanted() > replicas && !starting_.empty()) starting_.pop_back();
    ready_ = std::min(ready_, replicas);
  }
  // Returns what was late of `arrived`.
  double Step(double arrived, int now_s) {
    while (!starting_.empty() && starting_.front() <= now_s) {
      starting_.pop_front();
      ++ready_;
    }
    const double before = queue_;
    queue_ += arrived;
    served_ = std::min(queue_, ready_ * capacity_ * kStepS);
    queue_ -= served_;
    replica_seconds_ += wanted() * kStepS;
    return arrived * LateShare(before, arrived);
  }
  int wanted() const { return ready_ + static_cast<int>(starting_.size()); }
  int ready() const { return ready_; }
  double queue() const { return queue_; }
  double served() const { return served_; }
  double replica_seconds() const { return replica_seconds_; }

 private:
  // Which share of the step the queue is longer than what is done in kLateAfterS; it changes
  // evenly.
  double LateShare(double before, double arrived) const {
    const double limit = ready_ * capacity_ * kLateAfterS;
    const double after = before + arrived - ready_ * capacity_ * kStepS;
    if (before > limit && after > limit) return 1;
    if (before <= limit && after <= limit) return 0;
    return (std::max(before, after) - limit) / std::abs(after - before);
  }

  double capacity_;
  int start_delay_s_;
  int ready_;
  std::deque<int> starting_;  // When each will be ready.
  double queue_ = 0;
  double served_ = 0;  // In the last step.
  double replica_seconds_ = 0;
};

struct Outcome {
  double late_percent = 0;
  double replicas_ratio = 0;
  int changes = 0;
  int flaps = 0;  // Steps down within 300 s of a step up.
};

class Count {
 public:
  void Change(int before, int after, int now_s) {
    if (before == after) return;
    ++changes;
    if (after > before) last_up_s_ = now_s;
    if (after < before && now_s - last_up_s_ < 300) ++flaps;
  }
  int changes = 0;
  int flaps = 0;

 private:
  int last_up_s_ = -1000;
};

Outcome Conclude(const Fleet& fleet, const Count& count, double late, double total, int day_s) {
  return {.late_percent = 100 * late / total,
          .replicas_ratio = fleet.replica_seconds() / day_s / kIdealReplicas,
          .changes = count.changes,
          .flaps = count.flaps};
}

Outcome RunOurs(const std::vector<double>& series, double capacity, int start_delay_s) {
  Fleet fleet(capacity, start_delay_s, static_cast<int>(kIdealReplicas));
  policy::Autoscaler scaler;
  policy::PoolLoad load;
  Count count;
  double late = 0;
  double total = 0;
  int now_s = 0;
  for (const double arrived : series) {
    late += fleet.Step(arrived, now_s);
    total += arrived;
    load.offered_cost_total += arrived;
    load.served_cost_total += fleet.served();
    load.queued_cost = fleet.queue();
    now_s += kStepS;
    const TimePoint now{seconds(now_s)};
    scaler.Observe(now, {.load = load, .warm = fleet.ready()});
    const policy::AutoscaleDecision decision =
        scaler.Decide(now, {.replicas = fleet.wanted(),
                            .ready = fleet.ready(),
                            .minimum = 1,
                            .maximum = kReplicasMax,
                            .replica_cost_per_s = capacity,
                            .start_time = seconds(start_delay_s)});
    count.Change(decision.replicas_before, decision.replicas, now_s);
    fleet.Want(decision.replicas, now_s);
  }
  return Conclude(fleet, count, late, total, now_s);
}

// The horizontal pod autoscaler on utilisation: every 15 s, 10 % tolerance, down to the most of
// 300 s.
Outcome RunKubernetes(const std::vector<double>& series, double capacity, int start_delay_s,
                      double target) {
  Fleet fleet(capacity, start_delay_s, static_cast<int>(kIdealReplicas));
  Count count;
  std::deque<std::pair<int, int>> wishes;
  double late = 0;
  double total = 0;
  double served = 0;
  int now_s = 0;
  for (const double arrived : series) {
    late += fleet.Step(arrived, now_s);
    total += arrived;
    served += fleet.served();
    now_s += kStepS;
    constexpr int kPeriodS = 16;  // The nearest whole steps to 15 s.
    if (now_s % kPeriodS != 0) continue;
    const double ratio = served / kPeriodS / (std::max(1, fleet.ready()) * capacity) / target;
    served = 0;
    const int present = fleet.wanted();
    int wish =
        std::abs(ratio - 1) <= 0.1 ? present : static_cast<int>(std::ceil(fleet.ready() * ratio));
    wish = std::clamp(wish, 1, kReplicasMax);
    wishes.emplace_back(now_s, wish);
    while (wishes.front().first < now_s - 300) wishes.pop_front();
    int most = 1;
    for (const auto& [at, one] : wishes) most = std::max(most, one);
    const int next = wish > present ? wish : std::min(present, most);
    count.Change(present, next, now_s);
    fleet.Want(next, now_s);
  }
  return Conclude(fleet, count, late, total, now_s);
}

void Print(const char* name, const Outcome& outcome) {
  fmt::print(
      "{0}_late_percent {1:.3f}\n{0}_replicas_ratio {2:.3f}\n{0}_changes {3}\n{0}_flaps {4}\n",
      name, outcome.late_percent, outcome.replicas_ratio, outcome.changes, outcome.flaps);
}

int Main(const char* path, int start_delay_s) {
  const std::vector<double> series = ReadSeries(path);
  if (series.empty()) {
    fmt::print(stderr, "no numbers in {}\n", path);
    return 2;
  }
  double total = 0;
  for (const double arrived : series) total += arrived;
  const double capacity = total / static_cast<double>(series.size()) / kStepS / kIdealReplicas;
  Print("penstock", RunOurs(series, capacity, start_delay_s));
  Print("kubernetes", RunKubernetes(series, capacity, start_delay_s, 0.7));
  return 0;
}

}  // namespace
}  // namespace penstock

int main(int count, char** arguments) {
  if (count < 2) {
    fmt::print(stderr, "Usage: autoscale_day SERIES [START_DELAY_S]\n");
    return 2;
  }
  return penstock::Main(arguments[1], count > 2 ? std::atoi(arguments[2]) : 90);
}
