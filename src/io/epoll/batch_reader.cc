#include "io/epoll/batch_reader.h"

#include <memory>

namespace penstock::io {

BatchReader::~BatchReader() {
  if (state_ == State::kUsable) io_uring_queue_exit(&ring_);
}

bool BatchReader::Usable() {
  if (state_ != State::kUntried) return state_ == State::kUsable;
  io_uring_params parameters{};
  // All is done within the call that submits it: no other thread, no signal.
  parameters.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
  const bool opened = io_uring_queue_init_params(kMost, &ring_, &parameters) == 0;
  state_ = opened ? State::kUsable : State::kNone;
  if (opened) slots_ = std::make_unique_for_overwrite<Slot[]>(kMost);
  return opened;
}

std::size_t BatchReader::Add(int socket, bool with_stamp) {
  Slot& slot = slots_[size_];
  slot.socket = socket;
  slot.with_stamp = with_stamp;
  slot.result = kNotTried;
  return size_++;
}

void BatchReader::Prepare(Slot& slot) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (slot.with_stamp) {
    slot.piece = {slot.bytes.data(), slot.bytes.size()};
    slot.message = {};
    slot.message.msg_iov = &slot.piece;
    slot.message.msg_iovlen = 1;
    slot.message.msg_control = slot.control.data();
    slot.message.msg_controllen = slot.control.size();
    io_uring_prep_recvmsg(entry, slot.socket, &slot.message, MSG_DONTWAIT);
  } else {
    io_uring_prep_recv(entry, slot.socket, slot.bytes.data(), slot.bytes.size(), MSG_DONTWAIT);
  }
  io_uring_sqe_set_data(entry, &slot);
}

unsigned BatchReader::Reap() {
  unsigned head = 0;
  unsigned seen = 0;
  io_uring_cqe* done = nullptr;
  io_uring_for_each_cqe(&ring_, head, done) {
    static_cast<Slot*>(io_uring_cqe_get_data(done))->result = done->res;
    ++seen;
  }
  io_uring_cq_advance(&ring_, seen);
  return seen;
}

void BatchReader::Receive() {
  for (std::size_t i = 0; i < size_; ++i) Prepare(slots_[i]);
  std::size_t submitted = 0;
  int count = 1;
  while (submitted < size_ && count > 0) {
    count = io_uring_submit(&ring_);
    if (count > 0) submitted += static_cast<std::size_t>(count);
  }
  // A receive that must not wait is done when this returns: the loop's body never runs.
  std::size_t seen = Reap();
  while (seen < submitted && io_uring_submit_and_wait(&ring_, 1) >= 0) seen += Reap();
  if (seen == size_) return;
  io_uring_queue_exit(&ring_);  // With what it did not take.
  state_ = State::kNone;
}

}  // namespace penstock::io
