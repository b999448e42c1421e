// control_scale [ENDPOINTS] [REPLICAS_EACH]: what the control plane's own work costs with many
// endpoints and a fake fleet. Prints a table and, last, the two figures that benchmarks/scale holds
// against their goals.
//
// Endpoints are created over the service with a real store; replicas start, become healthy, are
// probed, die and come back as the reconciler asks, on a clock of the program's own.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/test_folder.h"
#include "control/catalog.h"
#include "control/endpoint_service.h"
#include "control/gguf_sample.h"
#include "control/scaler.h"

namespace penstock::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Scale {
 public:
  Scale(int endpoints, int replicas) : endpoints_(endpoints), replicas_(replicas) {
    calibration_.cost_per_s = 1000;
    calibration_.weights = {.output = 1};
    calibration_.chunk_tokens_per_s = 850;
    calibration_.chunks_per_replica = 1;
  }

  int Run() {
    if (auto registered =
            catalog_.Register({.full_name = "main.scale.model",
                               .source = folder_.Write("m.gguf", GgufSample{}.Bytes()),
                               .comment = "",
                               .creator = "bench"},
                              WallTime());
        !registered) {
      fmt::print(stderr, "{}\n", registered.error().message);
      return 1;
    }
    if (!Create()) return 1;
    Timed("start them all", [this] { Step(); });
    Timed("all become healthy", [this] { Heal(); });
    for (bool more = true; more;) {
      Timed("apply configurations", [this, &more] { more = service_.Advance(Now()); });
    }
    Step();
    for (int i = 0; i < 20; ++i)
      Timed("steady: one in 100 dies", [this] { Kill(living_.size() / 100); });
    for (int i = 0; i < 20; ++i) Timed("steady: probes due", [this] { Probe(); });
    for (int i = 0; i < 5; ++i) Timed("scaler's tick", [this] { Tick(); });
    for (int i = 0; i < 5; ++i) Timed("routing table", [this] { Publish(); });
    return Report();
  }

 private:
  struct Timing {
    std::string name;
    std::vector<double> ms;
  };
  Moment Now() const { return {.now = now_, .wall = WallTime(milliseconds(1))}; }

  template <typename Work>
  void Timed(const std::string& name, Work work) {
    const TimePoint begin = Clock::now();
    work();
    const double ms = Milliseconds(Clock::now() - begin);
    if (timings_.empty() || timings_.back().name != name) timings_.push_back({name, {}});
    timings_.back().ms.push_back(ms);
  }

  bool Create() {
    const Caller admin{.name = "bench", .role = policy::Role::kAdmin};
    const TimePoint begin = Clock::now();
    for (int i = 0; i < endpoints_; ++i) {
      const std::int64_t tokens = calibration_.chunk_tokens_per_s * replicas_;
      const auto made = service_.Create(
          fmt::format(R"({{"name":"e{}","config":{{"served_entities":[{{"entity_name":
                      "main.scale.model","entity_version":1,"min_provisioned_throughput":{},
                      "max_provisioned_throughput":{}}}]}}}})",
                      i, tokens, 2 * tokens),
          false, admin, Now());
      if (!made) {
        fmt::print(stderr, "{}\n", made.error().message);
        return false;
      }
    }
    fmt::print("created {} endpoints in {:.1f} s\n", endpoints_, Seconds(Clock::now() - begin));
    return true;
  }

  void Step() {
    for (const Action& action : reconciler_.Step(now_)) {
      if (const auto* start = std::get_if<StartReplica>(&action)) living_.push_back(start->replica);
      if (const auto* probe = std::get_if<ProbeReplica>(&action)) probed_.push_back(probe->replica);
    }
  }
  void Heal() {
    for (const std::uint64_t replica : std::exchange(probed_, {})) {
      reconciler_.OnProbe(replica, true, "", now_);
    }
    Step();
  }
  void Kill(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t victim = random_.Below(living_.size());
      std::swap(living_[victim], living_.back());
      reconciler_.OnExit(living_.back(), "exited with status 1", now_);
      living_.pop_back();
    }
    Step();
    now_ += seconds(1);
    Step();
    Heal();
    service_.Advance(Now());
  }
  void Probe() {
    now_ += seconds(2);
    Step();
    Heal();
  }
  void Tick() {
    now_ += seconds(1);
    load_.offered_cost_total += 500;
    scaler_.Tick(
        service_.plan(), [this](const std::string&) { return std::optional(load_); }, reconciler_,
        Now());
    Step();
  }
  void Publish() {
    const auto table =
        service_.Routes([](std::uint64_t id) { return fmt::format("unix:/{}", id); });
    published_ = table.size();
  }

  int Report() {
    fmt::print("{:<28} {:>6} {:>10} {:>10}\n", "step", "times", "median ms", "worst ms");
    double worst = 0;
    for (Timing& timing : timings_) {
      std::ranges::sort(timing.ms);
      fmt::print("{:<28} {:>6} {:>10.1f} {:>10.1f}\n", timing.name, timing.ms.size(),
                 timing.ms[timing.ms.size() / 2], timing.ms.back());
      worst = std::max(worst, timing.ms[timing.ms.size() / 2]);
    }
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const double memory_mb = static_cast<double>(usage.ru_maxrss) / 1000;
    fmt::print("{} endpoints, {} replicas ({} living)\n", published_, endpoints_ * replicas_,
               reconciler_.living());
    fmt::print("worst_step_ms {:.1f}\nmemory_mb {:.1f}\n", worst, memory_mb);
    return 0;
  }

  int endpoints_;
  int replicas_;
  policy::Calibration calibration_;
  TestFolder folder_;
  store::Store store_ = store::Store::Open(folder_.File("db")).value();
  Catalog catalog_{store_};
  Reconciler reconciler_;
  EndpointEvents events_{store_};
  EndpointService service_{
      store_,
      catalog_,
      reconciler_,
      events_,
      {.calibration = [this](const store::ModelVersionRecord&) { return calibration_; }}};
  Scaler scaler_;
  policy::PoolLoad load_;
  Random random_{7};
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  std::vector<std::uint64_t> living_;
  std::vector<std::uint64_t> probed_;
  std::vector<Timing> timings_;
  std::size_t published_ = 0;
};

}  // namespace
}  // namespace penstock::control

int main(int count, char** arguments) {
  const int endpoints = count > 1 ? std::atoi(arguments[1]) : 1000;
  const int replicas = count > 2 ? std::atoi(arguments[2]) : 10;
  return penstock::control::Scale(endpoints, replicas).Run();
}
