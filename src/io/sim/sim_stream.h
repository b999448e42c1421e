// SimStream: one end of a simulated connection.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "io/sim/sim_connection.h"
#include "io/stream.h"

namespace penstock::io {

class SimStream final : public Stream {
 public:
  SimStream(Loop& loop, std::shared_ptr<SimConnection> connection, SimSide side, Address peer)
      : Stream(loop), connection_(std::move(connection)), side_(side), peer_(std::move(peer)) {
    connection_->Open(side_, *this);
  }
  ~SimStream() override { connection_->Close(side_); }

  bool MayHaveInput() const override { return connection_->MayHaveInput(side_); }
  void ShutdownWrite() override { connection_->ShutdownWrite(side_); }
  Address peer() const override { return peer_; }

  // Closes with a reset: what a listener does to a connection that nobody accepted.
  void Abort() { connection_->Abort(side_); }

 protected:
  Try TryRead(std::span<char> into, Transfer& transfer) override {
    if (!connection_->Read(side_, into, transfer)) return Try::kWait;
    received_at_ = connection_->received_at(side_);
    return Try::kFinal;
  }
  Try TryWrite(std::span<std::string_view> pieces, Transfer& transfer) override {
    return connection_->Write(side_, pieces, transfer) ? Try::kFinal : Try::kWait;
  }

 private:
  friend class SimConnection;

  std::shared_ptr<SimConnection> connection_;
  SimSide side_;
  Address peer_;
};

}  // namespace penstock::io
