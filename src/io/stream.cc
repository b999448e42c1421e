#include "io/stream.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "io/loop.h"

namespace penstock::io {

namespace {

Error TransferError(const char* what, const Transfer& transfer) {
  std::string message = what;
  switch (transfer.failure) {
    case Code::kCancelled:
      message += ": cancelled";
      break;
    case Code::kDeadline:
      message += ": deadline passed";
      break;
    default:
      message += ": ";
      message += transfer.reason != nullptr   ? transfer.reason
                 : transfer.error_number != 0 ? std::strerror(transfer.error_number)
                                              : "connection closed by the peer";
  }
  return Error{transfer.failure, std::move(message), {}};
}

}  // namespace

bool ReadOp::TryNow() { return stream_.ReadNow(into_, result_) == Stream::Try::kFinal; }

Result<std::size_t> ReadOp::await_resume() {
  if (result_.failed) return Fail(TransferError("read", result_));
  return result_.bytes;
}

void ReadOp::OnCancel() {
  stream_.loop_.Schedule(stream_.FinishRead({.failed = true, .failure = Code::kCancelled}));
}

bool WriteOp::TryNow() { return stream_.StartWrite(*this); }

Status WriteOp::await_resume() {
  if (result_.failed) return Fail(TransferError("write", result_));
  return {};
}

void WriteOp::OnCancel() {
  stream_.loop_.Schedule(stream_.FinishWrite({.failed = true, .failure = Code::kCancelled}));
}

Stream::~Stream() {
  CHECK(reading_ == nullptr && writing_ == nullptr, "a stream in use is destroyed");
}

void Stream::CancelOnHangup(TaskState* task) {
  watcher_ = task;
  if (watcher_ != nullptr && hung_up_) std::exchange(watcher_, nullptr)->Cancel();
}

void Stream::NoteHangup() {
  hung_up_ = true;
  if (watcher_ != nullptr && reading_ == nullptr) std::exchange(watcher_, nullptr)->Cancel();
}

// True when all is written or failed; else the rest is copied, and the op must suspend.
bool Stream::StartWrite(WriteOp& op) {
  if (TryWrite(op.pieces_, op.result_) == Try::kFinal) return true;
  const auto [first, second] = op.pieces_;
  const std::size_t left = first.size() + second.size();
  op.rest_ = std::make_unique_for_overwrite<char[]>(left);
  std::ranges::copy(first, op.rest_.get());
  std::ranges::copy(second, op.rest_.get() + first.size());
  op.pieces_ = {std::string_view(op.rest_.get(), left), {}};
  if (op.within_ != Duration::zero()) op.deadline_ = Deadline::After(loop_.Now(), op.within_);
  return false;
}

std::coroutine_handle<> Stream::FinishRead(Transfer transfer) {
  ReadOp& op = *std::exchange(reading_, nullptr);
  op.result_ = transfer;
  return op.Complete();
}

std::coroutine_handle<> Stream::FinishWrite(Transfer transfer) {
  WriteOp& op = *std::exchange(writing_, nullptr);
  op.result_ = transfer;
  return op.Complete();
}

void Stream::Retry() {
  // Both outcomes first, then resume: either task may destroy this stream.
  std::coroutine_handle<> reader;
  std::coroutine_handle<> writer;
  Transfer transfer;
  if (writing_ != nullptr && TryWrite(writing_->pieces_, transfer) == Try::kFinal) {
    writer = FinishWrite(transfer);
  }
  if (writer) {
    // The reader's bytes may go to the loop's scratch buffer, which holds only until its task next
    // suspends: so the writer runs later, never between.
    loop_.Schedule(writer);
  }
  transfer = {};
  if (reading_ != nullptr && ReadNow(reading_->into_, transfer) == Try::kFinal) {
    reader = FinishRead(transfer);
    // Bytes and the end came together: the reader does not know of the end, so the watcher must.
    if (hung_up_ && transfer.bytes > 0) NoteHangup();
  }
  if (reader) reader.resume();
}

// A read may see the end before its event has come.
Stream::Try Stream::ReadNow(std::span<char> into, Transfer& transfer) {
  if (TryRead(into, transfer) == Try::kWait) return Try::kWait;
  if (transfer.bytes == 0 && !into.empty()) hung_up_ = true;
  return Try::kFinal;
}

// One timer serves both directions and many operations: a later deadline costs nothing, since the
// timer, when it fires, looks at what is pending then.
void Stream::ArmFor(Deadline deadline) {
  if (deadline.IsNever()) return;
  if (armed() && due() <= deadline.at()) return;
  loop_.wheel().Arm(*this, deadline.at());
}

void Stream::OnTimer(TimePoint now) {
  constexpr Transfer kLate{.failed = true, .failure = Code::kDeadline};
  Deadline next = Deadline::Never();
  if (reading_ != nullptr) {
    if (reading_->deadline_.Passed(now)) {
      loop_.Schedule(FinishRead(kLate));
    } else {
      next = Earlier(next, reading_->deadline_);
    }
  }
  if (writing_ != nullptr) {
    if (writing_->deadline_.Passed(now)) {
      loop_.Schedule(FinishWrite(kLate));
    } else {
      next = Earlier(next, writing_->deadline_);
    }
  }
  ArmFor(next);
}

}  // namespace penstock::io
