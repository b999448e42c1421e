#include "fleet/process_fleet.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>

#include "base/check.h"
#include "base/log.h"

namespace penstock::fleet {

Result<std::unique_ptr<ProcessFleet>> ProcessFleet::Open(FleetSettings settings,
                                                         SocketFolder sockets) {
  Descriptor watch(epoll_create1(EPOLL_CLOEXEC));
  if (!watch) return Fail(SystemError("watch processes for", sockets.path(), errno));
  return std::unique_ptr<ProcessFleet>(
      new ProcessFleet(std::move(settings), std::move(sockets), std::move(watch)));
}

Status ProcessFleet::Start(const ReplicaLaunch& launch) {
  CHECK(!replicas_.contains(launch.id), "a replica's id is used twice");
  auto log = ReplicaLog::Open(fmt::format("{}/{}.log", settings_.log_path, launch.log_name));
  if (!log) return Fail(log.error());
  auto process = Process::Start(
      {.command = launch.command, .output = log->descriptor(), .cores = launch.cores});
  if (!process) return Fail(process.error());

  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = launch.id;
  if (epoll_ctl(watch_.get(), EPOLL_CTL_ADD, process->exit_descriptor(), &event) != 0) {
    return Fail(SystemError("watch", launch.command.front(), errno));  // Kills it.
  }
  replicas_.emplace(launch.id, Replica{std::move(*process), std::move(*log),
                                       sockets_.SocketPath(launch.place_name)});
  return {};
}

void ProcessFleet::Terminate(std::uint64_t id) {
  if (const auto found = replicas_.find(id); found != replicas_.end()) {
    found->second.process.Terminate();
  }
}

void ProcessFleet::Kill(std::uint64_t id) {
  if (const auto found = replicas_.find(id); found != replicas_.end()) {
    found->second.process.Kill();
  }
}

std::vector<ReplicaExit> ProcessFleet::CollectExits() {
  std::vector<ReplicaExit> exits;
  constexpr int kEventsMax = 64;
  std::vector<epoll_event> events(kEventsMax);
  for (;;) {
    const int count = epoll_wait(watch_.get(), events.data(), kEventsMax, 0);
    if (count <= 0) return exits;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t id = events[static_cast<std::size_t>(i)].data.u64;
      const auto found = replicas_.find(id);
      CHECK(found != replicas_.end(), "an exit of a replica that does not run");
      const auto exit = found->second.process.TryWait();
      CHECK(exit.has_value(), "an exit descriptor is readable before the exit");
      // Who ended well has nothing to explain.
      const bool failed = exit->signalled || exit->number != 0;
      const std::string tail =
          failed ? found->second.log.Tail(settings_.log_tail_size_max) : std::string();
      exits.push_back({.id = id,
                       .reason = tail.empty() ? exit->ToString()
                                              : fmt::format("{}; it printed last: {}",
                                                            exit->ToString(), tail)});
      unlink(found->second.socket_path.c_str());
      // Closing the descriptor would not do: a child that another thread forks has a copy of it,
      // and so keeps the watch, until it runs its program.
      epoll_ctl(watch_.get(), EPOLL_CTL_DEL, found->second.process.exit_descriptor(), nullptr);
      replicas_.erase(found);
    }
  }
}

std::string ProcessFleet::AddressOf(std::uint64_t id) const {
  const auto found = replicas_.find(id);
  return found == replicas_.end() ? std::string() : "unix:" + found->second.socket_path;
}

std::string ProcessFleet::TailOf(std::uint64_t id, std::size_t size_max) const {
  const auto found = replicas_.find(id);
  return found == replicas_.end() ? std::string() : found->second.log.Tail(size_max);
}

void ProcessFleet::KeepHouse() {
  for (auto& [id, replica] : replicas_) {
    if (auto done = replica.log.RotateIfLarge(settings_.log_size_max); !done) {
      Log().warn("replica {}: {}", id, done.error().message);
    }
  }
}

std::vector<std::uint64_t> ProcessFleet::RunningIds() const {
  std::vector<std::uint64_t> ids;
  ids.reserve(replicas_.size());
  for (const auto& [id, replica] : replicas_) ids.push_back(id);
  return ids;
}

pid_t ProcessFleet::ProcessIdOf(std::uint64_t id) const {
  const auto found = replicas_.find(id);
  return found == replicas_.end() ? 0 : found->second.process.pid();
}

}  // namespace penstock::fleet
