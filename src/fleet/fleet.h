// Fleet: where replicas run: the one interface of all drivers.
//
// All calls on one thread, and none of them waits for long: what takes time is ordered, and told of
// later through CollectExits() and AddressOf(). Health is not a driver's business: whoever wants to
// know asks the address.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace penstock::fleet {

// Stands in a command for the address that the driver chooses: HOST:PORT.
inline constexpr const char* kAddressPlaceholder = "@ADDRESS@";

// What to run. `id` was never used before in this fleet.
struct ReplicaLaunch {
  std::uint64_t id = 0;
  // Of its log file and its place, without suffix. The successor of a replica has the same ones,
  // so that their number stays bounded: clients keep something for every address that they ever
  // met.
  std::string log_name;
  std::string place_name;            // "POOL-PLACE", at most 24 bytes.
  std::vector<std::string> command;  // First the program's path.
  std::string model = {};            // catalog.schema.model, for those who have servers of it.
  std::int64_t model_version = 0;
  std::vector<int> cores = {};    // Which it may run on; empty: all. Of this machine only.
  int cores_wanted = 0;           // For schedulers; 0: their default.
  std::int64_t memory_bytes = 0;  // Likewise.
  bool local = false;             // Has to run on this machine, whatever the fleet: see SplitFleet.
};

struct ReplicaExit {
  std::uint64_t id = 0;
  std::string reason;  // For people: how it ended, and if badly, what it printed last.
};

// A replica that a former server left running.
struct FoundReplica {
  std::string handle;      // What the driver calls it.
  std::string place_name;  // As it was launched.
};

class Fleet {
 public:
  Fleet() = default;
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;
  virtual ~Fleet() = default;

  virtual Status Start(const ReplicaLaunch& launch) = 0;
  // Ask to end, and make end. Nothing happens for an id that does not run.
  virtual void Terminate(std::uint64_t id) = 0;
  virtual void Kill(std::uint64_t id) = 0;

  // Who ended since the last call, each once.
  virtual std::vector<ReplicaExit> CollectExits() = 0;
  // Readable while CollectExits() has something to tell.
  virtual int exit_descriptor() const = 0;

  // What io::Address parses; "": not known yet, or not running.
  virtual std::string AddressOf(std::uint64_t id) const = 0;
  // The address that a command of this place shall listen on: a socket's path or
  // kAddressPlaceholder. `local` as in its launch.
  virtual std::string ListenAddress(const std::string& place_name, bool local) const = 0;
  // What a running replica printed last; "" where the driver cannot tell.
  virtual std::string TailOf(std::uint64_t id, std::size_t size_max) const = 0;
  virtual std::vector<std::uint64_t> RunningIds() const = 0;
  virtual std::size_t running() const = 0;
  virtual void KeepHouse() {}

  // Its replicas go on when the server ends; the next one finds and adopts them.
  virtual bool outlives_server() const { return false; }
  // Once, at start; may take seconds. Errors: the scheduler cannot be asked.
  virtual Result<std::vector<FoundReplica>> FindRunning() { return std::vector<FoundReplica>{}; }
  virtual void Adopt(std::uint64_t, const FoundReplica&) {}
  // Ends one that nobody wants.
  virtual void Dismiss(const FoundReplica&) {}
};

}  // namespace penstock::fleet
