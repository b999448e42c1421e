// Driver's workers: one task for each place in flight, which holds one request after the other.
//
// Everything that a stream needs lies in this one task's frame, in its record, and in the client's
// response: thousands of them must fit the caches and the memory.
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "bench/drive/driver_reading.h"

namespace penstock::bench {
namespace {

// Later turns of an open loop's conversation have ids above those of all schedules.
constexpr int kTurnShift = 44;

}  // namespace

// One conversation, turn by turn; most have one.
class Driver::Talk {
 public:
  Talk(Driver& driver, const Job& job) : driver_(driver), turn_(driver.composer_.First(job.plan)) {}

  // False, and nothing may be sent, where the run may spend no more.
  bool Begin(const Job& job);
  std::string Body(const Job& job);
  RequestRecord& record() { return *record_; }
  std::string* text() { return texts_ ? &texts_->output : nullptr; }
  // Hands the record over. Whether another turn follows, which is due at `job.due`.
  bool End(Job& job);
  // Once it is due.
  void TakeTurn(const Job& job);

 private:
  std::int64_t ExpectedTokens() const;
  void Settle();

  Driver& driver_;
  Composer::Turn turn_;
  int number_ = 1;
  int tokens_ = 0;  // Of the conversation so far, once a turn has ended.
  std::unique_ptr<RequestRecord> record_;
  std::unique_ptr<Texts> texts_;  // Where somebody wants them.
};

std::int64_t Driver::Talk::ExpectedTokens() const {
  const bool answers = driver_.settings_.endpoint.dialect != Dialect::kEmbeddings;
  return turn_.input_tokens + (answers ? turn_.output_tokens : 0);
}

bool Driver::Talk::Begin(const Job& job) {
  if (!driver_.settings_.spending->Begin(ExpectedTokens())) return false;
  const Composer& composer = driver_.composer_;
  record_ = std::make_unique<RequestRecord>();
  record_->id = job.id;
  record_->turn = job.plan.turns > 1 ? number_ : 0;
  if (composer.mix().parts.size() > 1) record_->workload = composer.part(job.plan).name;
  record_->level = job.mark.number;
  record_->concurrency = job.mark.concurrency;
  record_->phase = job.phase;
  record_->agent = driver_.settings_.agent;
  record_->scheduled_ns = driver_.Since(job.due);
  record_->input_tokens_wanted = turn_.input_tokens;
  record_->output_tokens_wanted =
      driver_.settings_.endpoint.dialect == Dialect::kEmbeddings ? 0 : turn_.output_tokens;
  record_->prompt_bytes = static_cast<std::int64_t>(turn_.bytes);
  if (driver_.settings_.keep_text || job.plan.turns > 1) texts_ = std::make_unique<Texts>();
  return true;
}

std::string Driver::Talk::Body(const Job& job) {
  const DriverSettings& settings = driver_.settings_;
  std::string body = RequestBody(settings.endpoint.dialect,
                                 {.model = settings.model,
                                  .output_tokens = turn_.output_tokens,
                                  .streamed = settings.streamed,
                                  .enforcement = settings.enforcement},
                                 turn_.messages);
  if (settings.keep_text) texts_->input = turn_.messages;
  // The body holds it; a stream may run for long.
  if (job.plan.turns <= 1) Messages().swap(turn_.messages);
  return body;
}

// What the request spent, and what it tells the composer.
void Driver::Talk::Settle() {
  driver_.Scrub(*record_);
  const bool told = record_->input_tokens != kUnknown;
  const int input = told ? record_->input_tokens : record_->input_tokens_wanted;
  const std::int64_t spent = record_->sent_ns == kNever ? 0 : input + record_->OutputTokens();
  driver_.settings_.spending->End(ExpectedTokens(), spent);
  if (told) driver_.composer_.Observe(turn_, record_->input_tokens);
  tokens_ = input + record_->OutputTokens();
}

bool Driver::Talk::End(Job& job) {
  Settle();
  const bool failed = record_->failed();
  if (job.plan.turns > 1) {
    turn_.messages.push_back({.role = Message::Role::kAssistant, .text = texts_->output});
  }
  driver_.on_record_(std::move(*record_),
                     driver_.settings_.keep_text ? std::move(*texts_) : Texts());
  record_.reset();
  texts_.reset();
  if (!driver_.NextTurn(job, number_, failed)) return false;
  job.due =
      driver_.loop_.Now() + std::chrono::milliseconds(driver_.composer_.part(job.plan).think_ms);
  return true;
}

void Driver::Talk::TakeTurn(const Job& job) {
  turn_ = driver_.composer_.Next(job.plan, ++number_, std::move(turn_.messages), tokens_);
}

// Whether there is a turn after `turn`; its id and phase are `job`'s then.
bool Driver::NextTurn(Job& job, int turn, bool failed) {
  if (turn >= job.plan.turns || failed || stopped_) return false;
  if (job.tickets != nullptr) {
    const auto ticket = job.tickets->Take((loop_.Now() - job.mark.start).count());
    if (!ticket) return false;
    job.phase = ticket->phase;
    job.id = ticket->id;
    return true;
  }
  if (job.closed->load(std::memory_order_relaxed)) return false;
  job.id = job.plan.id | (static_cast<std::uint64_t>(turn) << kTurnShift);
  return true;
}

// What a place in flight does next: a ticket's request in a closed loop, in an open one what has
// waited for a place.
bool Driver::NextJob(Job& job, const io::TaskState& task) {
  if (stopped_ || settings_.spending->exhausted()) return false;
  if (job.tickets == nullptr) {
    if (waiting_.empty() || task.cancelled()) return false;
    job = std::move(waiting_.front());
    waiting_.pop_front();
    return true;
  }
  // A closed loop's request is due when its worker comes free: now.
  job.due = loop_.Now();
  const auto ticket = job.tickets->Take((job.due - job.mark.start).count());
  if (!ticket) return false;
  job.plan = composer_.PlanOf(ticket->id);
  job.id = ticket->id;
  job.phase = ticket->phase;
  return true;
}

io::Task<void> Driver::Serve(Driver& driver, Job job) {
  // Workers of a level that lies ahead, on a clock that several machines share.
  if (job.tickets != nullptr && !co_await driver.loop_.SleepUntil(job.mark.start)) co_return;
  const io::TaskState& task = co_await io::ThisTask();
  bool more = job.tickets == nullptr || driver.NextJob(job, task);
  for (; more; more = driver.NextJob(job, task)) {
    Talk talk(driver, job);
    while (talk.Begin(job)) {
      const Deadline deadline = Deadline::After(driver.loop_.Now(), driver.settings_.timeout);
      {
        const auto response = co_await driver.Open(talk.Body(job), talk.record(), deadline);
        if (response) {
          Reading reading(driver, *response, talk.record(), talk.text(), deadline);
          while (reading.goes_on()) reading.Take(co_await reading.Next());
        }
      }
      if (!talk.End(job)) break;
      if (job.due > driver.loop_.Now() && !co_await driver.loop_.SleepUntil(job.due)) break;
      talk.TakeTurn(job);
    }
  }
  if (job.tickets == nullptr) --driver.in_flight_;
}

}  // namespace penstock::bench
