// SimNetwork: the connections of one simulation, their fate, and the faults that a test orders.
//
// Latency, segmentation and random cuts follow SimOptions. What is here comes on top, by order.
#pragma once

#include <cerrno>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "io/loop.h"
#include "io/sim/sim_options.h"

namespace penstock::io {

class SimConnection;
class SimListener;
class SimLoop;

// What happened, for the trace.
enum class SimEvent : std::uint8_t {
  kConnect,
  kAccept,
  kRead,
  kWrite,
  kArrive,
  kFin,
  kReset,
  kLost,
  kRefused,
};

class SimNetwork {
 public:
  SimNetwork(SimLoop& loop, const SimOptions& options);
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // --- Faults to order. ---

  // The `number`-th operation from now on (1: the next) fails with `error_number`. Each try of a
  // read or write counts, each connect and each accept. A read or write that fails resets its
  // connection; an accept that fails loses the connection that it would have given, or, for EMFILE
  // and its like, is tried again later.
  void FailOperation(std::uint64_t number, int error_number = ECONNRESET);
  // Operations so far: to know when failing the 1st, 2nd, 3rd … has passed the last.
  std::uint64_t operations() const { return operations_; }
  // Resets connection `id` (0: the first that was asked for) once `bytes` have arrived at its two
  // ends together; those bytes still arrive.
  void CutConnection(std::size_t id, std::uint64_t bytes) { cuts_[id] = bytes; }
  // While on, no listener answers: connects are refused.
  void RefuseConnects(bool on) { refuse_connects_ = on; }
  // While on, whatever is sent is lost and its sender never told: the peer has become silent. A
  // direction that lost something stays silent.
  void BlackHole(bool on) { black_hole_ = on; }
  // While on, no descriptor is free: accepts wait, connects fail with kExhausted.
  void ExhaustDescriptors(bool on);

  std::size_t connections() const { return connections_; }
  std::uint64_t trace_hash() const { return trace_hash_; }

  // --- For the loop. ---
  Result<std::unique_ptr<Listener>> Listen(Address address, const ListenOptions& options);
  Task<Result<std::unique_ptr<Stream>>> Connect(Address address, ConnectOptions options,
                                                Deadline deadline);

  // --- For connections and listeners. ---
  SimLoop& loop() { return loop_; }
  const SimOptions& options() const { return options_; }
  bool exhausted() const { return exhausted_; }
  bool black_hole() const { return black_hole_; }
  // Counts one operation; its error if it is the one that was ordered to fail.
  std::optional<int> CountOperation();
  // How many bytes connection `id` may deliver before it is cut.
  std::uint64_t CutAfter(std::size_t id) const;
  bool Chance(double probability) { return probability > 0 && random_.Uniform() < probability; }
  std::size_t Below(std::size_t bound) { return random_.Below(bound); }
  Duration DrawLatency();
  void Trace(SimEvent event, std::size_t connection, std::string_view bytes = {});
  void RemoveListener(const SimListener* listener);
  // Connection `id` asks for `address`: a listener takes it, refuses it, or drops it.
  void ArriveConnect(const std::shared_ptr<SimConnection>& connection, const Address& address);

 private:
  bool InUse(const Address& address, bool reuse_port) const;
  SimListener* FindListener(const Address& address);

  SimLoop& loop_;
  SimOptions options_;
  Random random_;
  std::vector<SimListener*> listeners_;  // Borrowed; each removes itself.
  std::map<std::size_t, std::uint64_t> cuts_;
  std::uint64_t operations_ = 0;
  std::uint64_t failing_operation_ = 0;  // 0: none.
  int failing_error_ = 0;
  bool refuse_connects_ = false;
  bool black_hole_ = false;
  bool exhausted_ = false;
  std::size_t connections_ = 0;
  std::uint16_t next_port_ = 49152;
  std::uint64_t trace_hash_ = 0xCBF29CE484222325u;
};

}  // namespace penstock::io
