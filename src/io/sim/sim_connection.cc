#include "io/sim/sim_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/sim/sim_loop.h"
#include "io/sim/sim_network.h"
#include "io/sim/sim_stream.h"

namespace penstock::io {

namespace {

bool Failed(int error_number, Transfer& transfer) {
  transfer = {.failed = true, .failure = Code::kClosed, .error_number = error_number};
  return true;
}

// Moves up to `size` bytes from the front of `pieces` to the end of a new string.
std::string TakeFront(std::span<std::string_view> pieces, std::size_t size) {
  std::string front;
  front.reserve(size);
  for (std::string_view& piece : pieces) {
    const std::size_t part = std::min(piece.size(), size - front.size());
    front.append(piece.substr(0, part));
    piece.remove_prefix(part);
  }
  return front;
}

}  // namespace

void SimConnection::Close(SimSide side) {
  End& own = end(side);
  own.stream = nullptr;
  if (own.reset) return;
  if (own.unread > 0) {
    Abort(side);
  } else {
    ShutdownWrite(side);
  }
}

void SimConnection::Abort(SimSide side) {
  if (std::exchange(end(side).reset, true)) return;
  Send(Other(side), {.kind = Kind::kReset, .bytes = {}});
}

void SimConnection::ShutdownWrite(SimSide side) {
  if (end(side).reset || std::exchange(end(Other(side)).fin_sent, true)) return;
  Send(Other(side), {.kind = Kind::kFin, .bytes = {}});
}

bool SimConnection::MayHaveInput(SimSide side) const {
  const End& own = ends_[Index(side)];
  return own.unread > 0 || own.fin_arrived || own.reset;
}

bool SimConnection::Read(SimSide side, std::span<char> into, Transfer& transfer) {
  if (const auto error = network_.CountOperation()) {
    Abort(side);
    return Failed(*error, transfer);
  }
  End& own = end(side);
  if (own.unread > 0) {
    transfer.bytes = Take(own, into);
    network_.Trace(SimEvent::kRead, id_, std::string_view(into.data(), transfer.bytes));
    MakeRoom(side);
    return true;
  }
  if (own.fin_arrived) return true;
  return own.reset && Failed(ECONNRESET, transfer);
}

std::size_t SimConnection::Take(End& from, std::span<char> into) {
  std::size_t wanted = std::min(into.size(), from.unread);
  if (wanted > 1 && network_.Chance(network_.options().short_read)) {
    wanted = 1 + network_.Below(wanted - 1);
  }
  std::size_t taken = 0;
  while (taken < wanted) {
    const Segment& segment = from.arrived.front();
    const std::size_t part = std::min(segment.bytes.size() - from.taken, wanted - taken);
    std::memcpy(into.data() + taken, segment.bytes.data() + from.taken, part);
    from.received_at = segment.arrived;
    taken += part;
    from.taken += part;
    if (from.taken < segment.bytes.size()) break;
    from.taken = 0;
    from.arrived.pop_front();
    if (!network_.Chance(network_.options().coalesce)) break;
  }
  from.unread -= taken;
  from.occupied -= taken;
  return taken;
}

// The reader at `side` has freed room: tells a writer that waits for it.
void SimConnection::MakeRoom(SimSide side) {
  if (!std::exchange(end(side).peer_waits, false)) return;
  WakeAt(network_.loop().Now() + network_.DrawLatency(), Other(side));
}

bool SimConnection::Write(SimSide side, std::span<std::string_view> pieces, Transfer& transfer) {
  if (const auto error = network_.CountOperation()) {
    Abort(side);
    return Failed(*error, transfer);
  }
  End& far = end(Other(side));
  if (end(side).reset || far.fin_sent) return Failed(EPIPE, transfer);
  std::size_t size = 0;
  for (const std::string_view piece : pieces) size += piece.size();
  if (size == 0) return true;

  const std::size_t room = network_.options().buffer_size - far.occupied;
  std::size_t taken = std::min(size, room);
  if (taken > 1 && network_.Chance(network_.options().short_write)) {
    taken = 1 + network_.Below(taken - 1);
  }
  transfer.bytes = taken;
  far.occupied += taken;
  for (std::size_t sent = 0; sent < taken;) {
    const std::size_t part = std::min(taken - sent, network_.options().segment_size_max);
    Segment segment{.kind = Kind::kData, .bytes = TakeFront(pieces, part)};
    network_.Trace(SimEvent::kWrite, id_, segment.bytes);
    Send(Other(side), std::move(segment));
    sent += part;
  }
  if (taken == size) return true;
  if (taken < room) {
    WakeAt(network_.loop().Now() + network_.DrawLatency(), side);
  } else {
    far.peer_waits = true;
  }
  return false;
}

void SimConnection::WakeAt(TimePoint at, SimSide side) {
  network_.loop().At(at, [self = shared_from_this(), side] {
    if (SimStream* stream = self->end(side).stream) stream->Retry();
  });
}

void SimConnection::HangUp(SimSide side) {
  SimStream* stream = end(side).stream;
  if (stream == nullptr) return;
  stream->NoteHangup();
  stream->Retry();
}

void SimConnection::Send(SimSide to, Segment segment) {
  End& far = end(to);
  far.silent |= network_.black_hole();
  if (far.silent) {
    network_.Trace(SimEvent::kLost, id_, segment.bytes);
    return;
  }
  const TimePoint soonest = network_.loop().Now() + network_.DrawLatency();
  far.last_arrival = std::max(far.last_arrival, soonest);
  segment.arrived = far.last_arrival;
  network_.loop().At(far.last_arrival,
                     [self = shared_from_this(), to, segment = std::move(segment)]() mutable {
                       self->Deliver(to, std::move(segment));
                     });
}

void SimConnection::Deliver(SimSide to, Segment segment) {
  End& far = end(to);
  if (far.reset || cut_) return;
  switch (segment.kind) {
    case Kind::kData:
      return DeliverData(to, std::move(segment));
    case Kind::kFin:
      network_.Trace(SimEvent::kFin, id_);
      far.fin_arrived = true;
      return HangUp(to);
    case Kind::kReset:
      network_.Trace(SimEvent::kReset, id_);
      far.reset = true;
      return HangUp(to);
    case Kind::kAnswer:
      accepted_ = !segment.bytes.empty();
      if (answered_ != nullptr) answered_->Set();
      return;
  }
}

void SimConnection::DeliverData(SimSide to, Segment segment) {
  End& far = end(to);
  if (network_.Chance(network_.options().cut)) return Cut();
  const std::uint64_t cut_after = network_.CutAfter(id_);
  const bool last = delivered_ + segment.bytes.size() >= cut_after;
  if (last) segment.bytes.resize(cut_after - std::min(cut_after, delivered_));
  delivered_ += segment.bytes.size();
  network_.Trace(SimEvent::kArrive, id_, segment.bytes);
  if (far.stream == nullptr) return Abort(to);

  // `this` lives on in the caller's hands, but either task may end its stream when woken.
  if (!segment.bytes.empty()) {
    far.unread += segment.bytes.size();
    far.arrived.push_back(std::move(segment));
    if (last) {
      cut_ = true;  // What arrives at the same moment is lost already.
      network_.loop().At(network_.loop().Now(), [self = shared_from_this()] { self->Cut(); });
    }
    far.stream->Retry();
  } else {
    Cut();
  }
}

void SimConnection::Cut() {
  network_.Trace(SimEvent::kReset, id_);
  for (End& each : ends_) each.reset = true;
  HangUp(SimSide::kClient);
  HangUp(SimSide::kServer);
}

void SimConnection::AskFor(Address address, Event& answered) {
  answered_ = &answered;
  End& far = end(SimSide::kServer);
  if (network_.black_hole()) {
    far.silent = true;
    return;
  }
  far.last_arrival = network_.loop().Now() + network_.DrawLatency();
  network_.loop().At(far.last_arrival,
                     [self = shared_from_this(), address = std::move(address)]() mutable {
                       self->network_.ArriveConnect(self, address);
                     });
}

void SimConnection::Answer(bool accepted) {
  Send(SimSide::kClient, {.kind = Kind::kAnswer, .bytes = accepted ? "accepted" : ""});
}

}  // namespace penstock::io
