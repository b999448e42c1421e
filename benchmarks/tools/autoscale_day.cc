// autoscale_day SERIES [START_DELAY_S]: a day of offered load against a simulated fleet, scaled by
// policy/autoscale.h and, beside it, by Kubernetes' rule (served utilisation, 300 s stabilisation).
// Prints a line of `name value` for each figure.
//
// The fleet is a fluid: a replica that is ready does K cost/s, first come, first served; within a
// step of 2 s cost arrives evenly. Late is what arrives when more than 2 s of work wait before it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <numeric>
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
  double late_am_percent = 0;  // Of the first half's cost; the settings were chosen by it.
  double late_pm_percent = 0;
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

// Cost that was late, by the half of the day.
class Lateness {
 public:
  explicit Lateness(std::size_t steps) : steps_(steps) {}
  void Add(double arrived, double late) {
    const std::size_t half = seen_++ * 2 < steps_ ? 0 : 1;
    arrived_[half] += arrived;
    late_[half] += late;
  }
  double Percent() const { return 100 * (late_[0] + late_[1]) / (arrived_[0] + arrived_[1]); }
  double PercentOf(std::size_t half) const { return 100 * late_[half] / arrived_[half]; }

 private:
  std::size_t steps_;
  std::size_t seen_ = 0;
  std::array<double, 2> arrived_{};
  std::array<double, 2> late_{};
};

Outcome Conclude(const Fleet& fleet, const Count& count, const Lateness& late, int day_s) {
  return {.late_percent = late.Percent(),
          .replicas_ratio = fleet.replica_seconds() / day_s / kIdealReplicas,
          .late_am_percent = late.PercentOf(0),
          .late_pm_percent = late.PercentOf(1),
          .changes = count.changes,
          .flaps = count.flaps};
}

Outcome RunOurs(const std::vector<double>& series, double capacity, int start_delay_s,
                policy::AutoscaleSettings settings = {}) {
  Fleet fleet(capacity, start_delay_s, static_cast<int>(kIdealReplicas));
  policy::Autoscaler scaler(settings);
  policy::PoolLoad load;
  Count count;
  Lateness late(series.size());
  int now_s = 0;
  for (const double arrived : series) {
    late.Add(arrived, fleet.Step(arrived, now_s));
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
  return Conclude(fleet, count, late, now_s);
}

// The design's first rule: the mean of 60 s alone, each replica filled to 60 %. It is here since
// the figures published with the goal are this rule's.
policy::AutoscaleSettings OneMean() {
  policy::AutoscaleSettings settings;
  settings.utilisation = 0.6;
  settings.burst_utilisation = settings.utilisation;
  settings.burst_over = settings.mean_over;
  return settings;
}

// The horizontal pod autoscaler on utilisation: every 15 s, 10 % tolerance, down to the most of
// 300 s.
Outcome RunKubernetes(const std::vector<double>& series, double capacity, int start_delay_s,
                      double target) {
  Fleet fleet(capacity, start_delay_s, static_cast<int>(kIdealReplicas));
  Count count;
  std::deque<std::pair<int, int>> wishes;
  Lateness late(series.size());
  double served = 0;
  int now_s = 0;
  for (const double arrived : series) {
    late.Add(arrived, fleet.Step(arrived, now_s));
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
  return Conclude(fleet, count, late, now_s);
}

void Print(const std::string& name, const Outcome& outcome) {
  fmt::print("{0}_late_percent {1:.3f}\n{0}_replicas_ratio {2:.3f}\n", name, outcome.late_percent,
             outcome.replicas_ratio);
  fmt::print("{0}_late_am_percent {1:.3f}\n{0}_late_pm_percent {2:.3f}\n", name,
             outcome.late_am_percent, outcome.late_pm_percent);
  fmt::print("{0}_changes {1}\n{0}_flaps {2}\n", name, outcome.changes, outcome.flaps);
}

double Sum(const std::vector<double>& series) {
  return std::accumulate(series.begin(), series.end(), 0.0);
}

// The source knows the mean rate of each 10 minutes only. Here it does not jump between them, but
// goes in straight lines from middle to middle; what happens within them stays.
std::vector<double> Ramps(const std::vector<double>& series) {
  constexpr std::size_t kWindow = 600 / kStepS;
  std::vector<double> means;
  for (std::size_t i = 0; i < series.size(); i += kWindow) {
    const std::size_t end = std::min(series.size(), i + kWindow);
    double sum = 0;
    for (std::size_t j = i; j < end; ++j) sum += series[j];
    means.push_back(std::max(1.0, sum / static_cast<double>(end - i)));
  }
  std::vector<double> ramps;
  for (std::size_t i = 0; i < series.size(); ++i) {
    const double place = (static_cast<double>(i) + 0.5) / kWindow - 0.5;
    const auto last = static_cast<double>(means.size() - 1);
    const auto left = static_cast<std::size_t>(std::clamp(std::floor(place), 0.0, last));
    const auto right = std::min(left + 1, means.size() - 1);
    const double share = std::clamp(place - static_cast<double>(left), 0.0, 1.0);
    const double mean = means[left] + share * (means[right] - means[left]);
    ramps.push_back(series[i] / means[i / kWindow] * mean);
  }
  return ramps;
}

void PrintDay(const std::string& name, const std::vector<double>& series, int start_delay_s) {
  const double capacity =
      Sum(series) / static_cast<double>(series.size()) / kStepS / kIdealReplicas;
  Print("penstock" + name, RunOurs(series, capacity, start_delay_s));
  Print("one_mean" + name, RunOurs(series, capacity, start_delay_s, OneMean()));
  Print("kubernetes" + name, RunKubernetes(series, capacity, start_delay_s, 0.7));
}

int Main(const char* path, int start_delay_s) {
  const std::vector<double> series = ReadSeries(path);
  if (series.empty()) {
    fmt::print(stderr, "no numbers in {}\n", path);
    return 2;
  }
  PrintDay("", series, start_delay_s);
  PrintDay("_ramps", Ramps(series), start_delay_s);
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
