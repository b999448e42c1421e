// SplitFleet: replicas that have to run beside the server (ReplicaLaunch::local) as processes of
// this machine, all others wherever the operator's fleet runs them.
//
// Local ones are relays to other servers: they need the server's files, and nothing of a cluster.
// Both fleets know their own ids only, so what is asked of one replica is asked of both.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "fleet/fleet.h"

namespace penstock::fleet {

class SplitFleet : public Fleet {
 public:
  // kExhausted: no descriptor left.
  static Result<std::unique_ptr<SplitFleet>> Open(std::unique_ptr<Fleet> local,
                                                  std::unique_ptr<Fleet> remote);

  Status Start(const ReplicaLaunch& launch) override {
    return launch.local ? local_->Start(launch) : remote_->Start(launch);
  }
  void Terminate(std::uint64_t id) override;
  void Kill(std::uint64_t id) override;
  std::vector<ReplicaExit> CollectExits() override;
  int exit_descriptor() const override { return watch_.get(); }
  std::string AddressOf(std::uint64_t id) const override;
  std::string ListenAddress(const std::string& place_name, bool local) const override {
    return (local ? local_ : remote_)->ListenAddress(place_name, local);
  }
  std::string TailOf(std::uint64_t id, std::size_t size_max) const override;
  std::vector<std::uint64_t> RunningIds() const override;
  std::size_t running() const override { return local_->running() + remote_->running(); }
  void KeepHouse() override;
  bool outlives_server() const override { return remote_->outlives_server(); }
  Result<std::vector<FoundReplica>> FindRunning() override { return remote_->FindRunning(); }
  void Adopt(std::uint64_t id, const FoundReplica& found) override { remote_->Adopt(id, found); }
  void Dismiss(const FoundReplica& found) override { remote_->Dismiss(found); }

 private:
  SplitFleet(std::unique_ptr<Fleet> local, std::unique_ptr<Fleet> remote, Descriptor watch)
      : local_(std::move(local)), remote_(std::move(remote)), watch_(std::move(watch)) {}

  std::unique_ptr<Fleet> local_;
  std::unique_ptr<Fleet> remote_;
  Descriptor watch_;  // An epoll of both fleets' exit descriptors.
};

// Processes of this machine, with sockets and logs in these folders; beside `other`, where there is
// one, for what has to run here. Errors: of SocketFolder::Open and of the fleets.
Result<std::unique_ptr<Fleet>> OpenBeside(const std::string& socket_path,
                                          const std::string& log_path,
                                          std::unique_ptr<Fleet> other);

}  // namespace penstock::fleet
