// FairShare: which caller has had least so far (virtual token counters, after "Fairness in Serving
// Large Language Models").
//
// A caller that has nothing under way gains nothing by it: when it comes back, its counter is
// lifted to the least of those that are active, or to that of the last who left. So nobody saves up
// a claim, and nobody who was served alone pays for it later. Pure; bounded: of idle callers only
// kIdleCallersMax are remembered.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

namespace penstock::engine {

class FairShare {
 public:
  static constexpr std::size_t kIdleCallersMax = 4096;

  struct Caller {
    double counter = 0;  // Cost served so far, lifted on activation.
    int active = 0;      // Jobs that wait or run.
  };

  // A job of `name` arrived. The pointer holds until the matching Leave().
  Caller* Arrive(std::string_view name);
  void Leave(Caller* caller);
  static void Charge(Caller* caller, double cost) { caller->counter += cost; }

  std::size_t callers() const { return callers_.size(); }

 private:
  double Floor() const;
  void ForgetIdle();

  std::unordered_map<std::string, Caller> callers_;
  std::size_t active_ = 0;  // Callers with jobs.
  double last_left_ = 0;    // Counter of the last caller that left, once nobody was active.
};

}  // namespace penstock::engine
