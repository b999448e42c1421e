// SimConnection: the wire between two SimStreams: what is on its way, what has arrived, who is
// gone.
//
// Shared by its two ends and by whatever is on its way. Follows TCP as Linux does it: a closed end
// that had unread bytes, or gets more, answers with a reset; what arrived before can still be read.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/event.h"
#include "io/stream.h"

namespace penstock::io {

class SimNetwork;
class SimStream;

enum class SimSide : std::uint8_t { kClient = 0, kServer = 1 };

class SimConnection : public std::enable_shared_from_this<SimConnection> {
 public:
  SimConnection(SimNetwork& network, std::size_t id) : network_(network), id_(id) {}

  std::size_t id() const { return id_; }
  SimNetwork& network() { return network_; }

  // Called by the stream at `side`, when it begins and when it ends.
  void Open(SimSide side, SimStream& stream) { end(side).stream = &stream; }
  void Close(SimSide side);

  // True when `transfer` is final; else the stream is woken later. As Stream::TryRead/TryWrite.
  bool Read(SimSide side, std::span<char> into, Transfer& transfer);
  bool Write(SimSide side, std::span<std::string_view> pieces, Transfer& transfer);
  void ShutdownWrite(SimSide side);
  bool MayHaveInput(SimSide side) const;
  // When the bytes of the last read arrived.
  TimePoint received_at(SimSide side) const { return ends_[Index(side)].received_at; }
  // Ends both directions at once, as a reset sent by `side`.
  void Abort(SimSide side);

  // --- The handshake. ---
  // Asks for `address`. `answered` is set when the answer has come; Forget() it before it ends.
  void AskFor(Address address, Event& answered);
  void ForgetAnswer() { answered_ = nullptr; }
  void Answer(bool accepted);
  bool accepted() const { return accepted_; }

 private:
  enum class Kind : std::uint8_t { kData, kFin, kReset, kAnswer };
  struct Segment {
    Kind kind;
    std::string bytes;
    TimePoint arrived{};
  };
  // One stream and the direction that flows towards it.
  struct End {
    SimStream* stream = nullptr;  // Borrowed; null when closed.
    std::deque<Segment> arrived;
    std::size_t taken = 0;     // Bytes already read of the first segment.
    std::size_t unread = 0;    // Bytes that arrived and were not read.
    std::size_t occupied = 0;  // Bytes that the peer wrote and that were not read.
    TimePoint last_arrival{};  // Of what is on its way hither.
    TimePoint received_at{};
    bool peer_waits = false;  // The peer's writer wants to know of room.
    bool silent = false;      // Something was lost on the way hither: nothing comes any more.
    bool fin_sent = false;    // By the peer.
    bool fin_arrived = false;
    bool reset = false;  // This end was reset, or reset the other.
  };

  static std::size_t Index(SimSide side) { return static_cast<std::size_t>(side); }
  static SimSide Other(SimSide side) {
    return side == SimSide::kClient ? SimSide::kServer : SimSide::kClient;
  }
  End& end(SimSide side) { return ends_[Index(side)]; }

  void Send(SimSide to, Segment segment);
  void Deliver(SimSide to, Segment segment);
  void DeliverData(SimSide to, Segment segment);
  void Cut();
  // Wakes the stream at `side`, later: never from inside another task's call.
  void WakeAt(TimePoint at, SimSide side);
  void HangUp(SimSide side);
  std::size_t Take(End& from, std::span<char> into);
  void MakeRoom(SimSide side);

  SimNetwork& network_;
  std::size_t id_;
  std::array<End, 2> ends_;
  std::uint64_t delivered_ = 0;  // Bytes, both directions.
  bool cut_ = false;
  Event* answered_ = nullptr;  // Borrowed from the connecting task.
  bool accepted_ = false;
};

}  // namespace penstock::io
