#include "fleet/split_fleet.h"

#include <sys/epoll.h>

#include <cerrno>
#include <iterator>

#include "fleet/process_fleet.h"
#include "fleet/socket_folder.h"

namespace penstock::fleet {

Result<std::unique_ptr<SplitFleet>> SplitFleet::Open(std::unique_ptr<Fleet> local,
                                                     std::unique_ptr<Fleet> remote) {
  Descriptor watch(epoll_create1(EPOLL_CLOEXEC));
  if (!watch) return Fail(SystemError("watch", "two fleets", errno));
  for (const Fleet* fleet : {local.get(), remote.get()}) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(watch.get(), EPOLL_CTL_ADD, fleet->exit_descriptor(), &event) != 0) {
      return Fail(SystemError("watch", "two fleets", errno));
    }
  }
  return std::unique_ptr<SplitFleet>(
      new SplitFleet(std::move(local), std::move(remote), std::move(watch)));
}

void SplitFleet::Terminate(std::uint64_t id) {
  local_->Terminate(id);
  remote_->Terminate(id);
}

void SplitFleet::Kill(std::uint64_t id) {
  local_->Kill(id);
  remote_->Kill(id);
}

std::vector<ReplicaExit> SplitFleet::CollectExits() {
  std::vector<ReplicaExit> exits = local_->CollectExits();
  std::vector<ReplicaExit> others = remote_->CollectExits();
  exits.insert(exits.end(), std::make_move_iterator(others.begin()),
               std::make_move_iterator(others.end()));
  return exits;
}

std::string SplitFleet::AddressOf(std::uint64_t id) const {
  std::string address = local_->AddressOf(id);
  return address.empty() ? remote_->AddressOf(id) : address;
}

std::string SplitFleet::TailOf(std::uint64_t id, std::size_t size_max) const {
  std::string tail = local_->TailOf(id, size_max);
  return tail.empty() ? remote_->TailOf(id, size_max) : tail;
}

std::vector<std::uint64_t> SplitFleet::RunningIds() const {
  std::vector<std::uint64_t> ids = local_->RunningIds();
  const std::vector<std::uint64_t> others = remote_->RunningIds();
  ids.insert(ids.end(), others.begin(), others.end());
  return ids;
}

void SplitFleet::KeepHouse() {
  local_->KeepHouse();
  remote_->KeepHouse();
}

Result<std::unique_ptr<Fleet>> OpenBeside(const std::string& socket_path,
                                          const std::string& log_path,
                                          std::unique_ptr<Fleet> other) {
  auto sockets = SocketFolder::Open(socket_path);
  if (!sockets) return Fail(sockets.error());
  auto local = ProcessFleet::Open({.log_path = log_path}, std::move(*sockets));
  if (!local) return Fail(local.error());
  if (other == nullptr) return std::move(*local);
  auto split = SplitFleet::Open(std::move(*local), std::move(other));
  if (!split) return Fail(split.error());
  return std::move(*split);
}

}  // namespace penstock::fleet
