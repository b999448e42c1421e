// PolledFleet: replicas that something else runs (Slurm, Kubernetes, a hook), which is asked again
// and again what became of them.
//
// A thread of its own gives the orders and asks, since either may take seconds; one mutex guards
// what both threads know. Replicas outlive the server: the next one adopts them. What a former
// server ordered in its last moment may turn up later than that, and is ended.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "fleet/fleet.h"

namespace penstock::fleet {

// What runs, as the other side tells it.
struct ListedReplica {
  std::string handle;
  std::string place_name;  // As launched; "" for a stranger's.
  std::string address;     // "": not known yet.
  bool ended = false;
  std::string reason;  // Why it ended, or why it does not run yet.
};

// The other side. All calls on the fleet's own thread, but FindRunning()'s first List().
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;  // "slurm"
  // Answers the handle; "": it will be told with the list, by place name.
  virtual Result<std::string> Start(const ReplicaLaunch& launch) = 0;
  virtual Status Stop(const std::string& handle, bool kill) = 0;
  virtual Result<std::vector<ListedReplica>> List() = 0;
  // Why one that is not listed any more ended.
  virtual std::string ReasonOf(const std::string& handle) = 0;
  virtual std::string TailOf(const std::string& log_name, std::size_t size_max) = 0;
  // List() is to be called though no replica is known: something is not brought about yet.
  virtual bool busy() const { return false; }
};

class PolledFleet : public Fleet {
 public:
  // kExhausted: no descriptor left.
  static Result<std::unique_ptr<PolledFleet>> Open(std::unique_ptr<Backend> backend,
                                                   Duration poll_interval);
  ~PolledFleet() override;

  Status Start(const ReplicaLaunch& launch) override;
  void Terminate(std::uint64_t id) override { Order(id, Wish::kStop); }
  void Kill(std::uint64_t id) override { Order(id, Wish::kKill); }
  std::vector<ReplicaExit> CollectExits() override;
  int exit_descriptor() const override { return signal_.get(); }
  std::string AddressOf(std::uint64_t id) const override;
  std::string ListenAddress(const std::string&, bool) const override { return kAddressPlaceholder; }
  std::string TailOf(std::uint64_t id, std::size_t size_max) const override;
  std::vector<std::uint64_t> RunningIds() const override;
  std::size_t running() const override;
  bool outlives_server() const override { return true; }
  Result<std::vector<FoundReplica>> FindRunning() override;
  void Adopt(std::uint64_t id, const FoundReplica& found) override;
  void Dismiss(const FoundReplica& found) override;

 private:
  enum class Wish { kStart, kStop, kKill };
  struct Task {
    std::uint64_t id = 0;  // 0: of `handle`.
    Wish wish = Wish::kStart;
    ReplicaLaunch launch = {};
    std::string handle = {};
  };
  struct Replica {
    std::string handle;  // "": not started yet, or not told.
    std::string place_name;
    std::string log_name;
    std::string address;
    int missing = 0;  // Lists in a row without it.
    bool started = false;
  };

  // One that runs without being anybody's.
  struct Stranger {
    std::string handle;
    bool first = false;  // It is asked to end for the first time.
  };

  PolledFleet(std::unique_ptr<Backend> backend, Duration poll_interval, Descriptor signal);
  void Order(std::uint64_t id, Wish wish);
  void Run();
  void Do(const Task& task);
  void Poll();
  void Match(std::vector<ListedReplica>& listed, std::vector<std::uint64_t>& gone);
  std::vector<Stranger> Strangers(const std::vector<ListedReplica>& listed);
  void ForgetFound();
  bool MayList() const;
  void EndLocked(std::uint64_t id, std::string reason);

  std::unique_ptr<Backend> backend_;
  const Duration poll_interval_;
  Descriptor signal_;  // An eventfd.
  mutable std::mutex mutex_;
  std::condition_variable woken_;
  bool stopping_ = false;
  std::deque<Task> tasks_;
  std::map<std::uint64_t, Replica> replicas_;
  std::vector<ReplicaExit> exits_;
  // Of FindRunning() that are neither adopted nor dismissed yet; only then strangers are told.
  std::size_t undecided_ = 0;
  TimePoint watch_until_{};               // For strangers, though nothing of ours runs.
  std::map<std::string, int> strangers_;  // Lists in a row with it, by handle.
  bool complained_ = false;
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace penstock::fleet
