// The model's thread, and the lock between it and those who submit.
#include "engine/engine.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

#include "base/log.h"
#include "engine/engine_options.h"
#include "engine/llama/own_kernels.h"
#include "engine/stepper.h"

namespace penstock::engine {

class Engine::Core {
 public:
  Core(EngineOptions options, EventSink sink, std::unique_ptr<Model> model,
       std::unique_ptr<ChatTemplate> chat_template, std::unique_ptr<Context> context)
      : options_(std::move(options)),
        sink_(std::move(sink)),
        model_(std::move(model)),
        chat_template_(std::move(chat_template)),
        seeds_(options_.seed),
        stepper_(*model_, std::move(context),
                 {.slots = options_.parallel,
                  .queued_max = options_.queued_max,
                  .step_tokens_max = options_.step_tokens_max,
                  .slot_tokens_max = options_.context_tokens,
                  .whole_prompts = model_->info().task == ModelTask::kEmbed,
                  .step_target = options_.step_target},
                 static_cast<std::size_t>(options_.prefix_cache_mebibytes) << 20,
                 options_.threads) {
    metrics_.slots = options_.parallel;
    metrics_.cells_total = options_.parallel * options_.context_tokens;
  }
  ~Core() { Stop(); }
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Status Start() {
    if (Status warm = stepper_.WarmUp(); !warm) return warm;
    stepper_.DescribeSlots(Clock::now(), slot_states_);
    thread_ = std::thread([this] { Run(); });
    return {};
  }
  Result<RequestId> Add(GenerationRequest request, bool embeds,
                        std::unique_ptr<Grammar> grammar = nullptr);
  void Cancel(RequestId id);
  EngineMetrics Metrics() const;
  std::vector<SlotState> Slots() const {
    const std::lock_guard lock(mutex_);
    return slot_states_;
  }

  const EngineOptions& options() const { return options_; }
  const Model& model() const { return *model_; }
  const ChatTemplate& chat_template() const { return *chat_template_; }

 private:
  struct Inbox {
    std::vector<Admitted> admitted;
    std::vector<RequestId> cancelled;
    bool empty() const { return admitted.empty() && cancelled.empty(); }
  };

  void Stop();
  void Run();
  bool TakeInbox(bool idle);
  void Deliver(std::vector<Event> events, const StepCounts& counts, Duration took);

  EngineOptions options_;
  EventSink sink_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<ChatTemplate> chat_template_;

  mutable std::mutex mutex_;  // Guards what follows, up to taken_.
  std::condition_variable wake_;
  Inbox inbox_;
  bool stopping_ = false;
  RequestId last_id_ = 0;
  std::vector<RequestId> under_way_;  // Sorted, since ids grow.
  Random seeds_;
  EngineMetrics metrics_;
  std::vector<SlotState> slot_states_;

  Inbox taken_;  // The model thread's half of the inbox; its memory is used again.
  Stepper stepper_;
  std::thread thread_;
};

Result<RequestId> Engine::Core::Add(GenerationRequest request, bool embeds,
                                    std::unique_ptr<Grammar> grammar) {
  const std::lock_guard lock(mutex_);
  const auto limit = static_cast<std::size_t>(options_.parallel + options_.queued_max);
  if (under_way_.size() >= limit) {
    ++metrics_.requests_refused;
    return Fail(
        Code::kUnavailable,
        fmt::format("{} requests run and {} may wait (--parallel, --queued-max): all places are "
                    "taken",
                    options_.parallel, options_.queued_max));
  }
  const RequestId id = ++last_id_;
  under_way_.push_back(id);
  inbox_.admitted.push_back({.id = id,
                             .request = std::move(request),
                             .embeds = embeds,
                             .grammar = std::move(grammar),
                             .seed = seeds_.Next(),
                             .submitted = Clock::now()});
  wake_.notify_one();
  return id;
}

void Engine::Core::Cancel(RequestId id) {
  const std::lock_guard lock(mutex_);
  const auto found = std::ranges::lower_bound(under_way_, id);
  if (found == under_way_.end() || *found != id) return;
  under_way_.erase(found);
  ++metrics_.requests_cancelled;
  inbox_.cancelled.push_back(id);
  wake_.notify_one();
}

EngineMetrics Engine::Core::Metrics() const {
  const std::lock_guard lock(mutex_);
  EngineMetrics metrics = metrics_;
  metrics.queued += static_cast<int>(inbox_.admitted.size());
  return metrics;
}

void Engine::Core::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

// Waits for something to do when `idle`. False when the engine stops.
bool Engine::Core::TakeInbox(bool idle) {
  std::unique_lock lock(mutex_);
  if (idle) wake_.wait(lock, [this] { return stopping_ || !inbox_.empty(); });
  if (stopping_) return false;
  taken_.admitted.clear();
  taken_.cancelled.clear();
  std::swap(taken_, inbox_);
  return true;
}

void Engine::Core::Run() {
  bool idle = true;
  while (TakeInbox(idle)) {
    std::vector<Event> events;
    events.reserve(static_cast<std::size_t>(options_.parallel));
    for (const RequestId id : taken_.cancelled) {
      stepper_.Cancel(id);
      std::erase_if(taken_.admitted, [id](const Admitted& admitted) { return admitted.id == id; });
    }
    for (Admitted& admitted : taken_.admitted) stepper_.Admit(std::move(admitted), events);
    StepCounts counts;
    const TimePoint begin = Clock::now();
    idle = !stepper_.Step(begin, events, counts);
    Deliver(std::move(events), counts, idle ? Duration{} : Clock::now() - begin);
  }
}

void Engine::Core::Deliver(std::vector<Event> events, const StepCounts& counts, Duration took) {
  {
    const std::lock_guard lock(mutex_);
    for (const Event& event : events) {
      if (event.end == Event::End::kNone) continue;
      const auto found = std::ranges::lower_bound(under_way_, event.id);
      if (found != under_way_.end() && *found == event.id) under_way_.erase(found);
    }
    const Scheduler& scheduler = stepper_.scheduler();
    metrics_.queued = scheduler.queued();
    metrics_.running = scheduler.running();
    metrics_.cells_used = scheduler.cells_used();
    metrics_.requests_finished += counts.finished;
    metrics_.requests_failed += counts.failed;
    metrics_.prompt_tokens += counts.prompt_tokens;
    metrics_.completion_tokens += counts.completion_tokens;
    metrics_.steps += took == Duration{} ? 0 : 1;
    metrics_.step_time += took;
    metrics_.computing_time += counts.computing;
    metrics_.decodes += static_cast<std::uint64_t>(counts.plan.decodes);
    if (counts.plan.decodes > 0 && counts.plan.prefills > 0) ++metrics_.mixed_steps;
    metrics_.step_budget = scheduler.step_budget();
    metrics_.last_step = counts.plan;
    metrics_.threads = stepper_.threads().threads();
    metrics_.thread_reductions = stepper_.threads().reductions();
    metrics_.prefixes = stepper_.prefix_metrics();
    stepper_.DescribeSlots(Clock::now(), slot_states_);
  }
  if (!events.empty()) sink_(std::move(events));
}

Engine::Engine(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Start(EngineOptions options, EventSink sink) {
  if (Status valid = ValidateOptions(options); !valid) return Fail(valid.error());
  const auto gpu_layers = FitModel(options);
  if (!gpu_layers) return Fail(gpu_layers.error());
  options.gpu_layers = *gpu_layers;
  options.own_kernels = UseOwnKernels(options.own_kernels);
  auto model = Model::Load(options.model_path, *gpu_layers);
  if (!model) return Fail(std::move(model.error()));
  if (Status fits = ResolveOptions((*model)->info(), options); !fits) return Fail(fits.error());
  auto chat_template = ChatTemplate::Create((*model)->get(), (*model)->info().chat_template);
  if (!chat_template) return Fail(std::move(chat_template.error()));
  const ContextOptions context_options{.sequences = options.parallel,
                                       .tokens_per_sequence = options.context_tokens,
                                       .step_tokens_max = options.step_tokens_max,
                                       .micro_batch = options.micro_batch,
                                       .threads = options.threads,
                                       .flash_attention = options.flash_attention};
  auto context = Context::Create(**model, context_options);
  if (!context) return Fail(std::move(context.error()));
  auto core = std::make_unique<Core>(std::move(options), std::move(sink), std::move(*model),
                                     std::move(*chat_template), std::move(*context));
  if (Status started = core->Start(); !started) return Fail(started.error());
  Log().info("engine: {} with {} sequences of {} tokens on {} threads, {} kernels",
             core->model().info().description, core->options().parallel,
             core->options().context_tokens, core->options().threads,
             core->options().own_kernels ? "our own" : "llama.cpp's");
  return std::unique_ptr<Engine>(new Engine(std::move(core)));
}

Result<RequestId> Engine::Submit(GenerationRequest request) {
  const Model& model = core_->model();
  if (model.info().task != ModelTask::kGenerate) {
    return Fail(Code::kInvalidArgument, "this model makes embeddings; it generates no text",
                "model");
  }
  auto limit = OutputLimit(static_cast<int>(request.prompt.size()), request.output_tokens_max,
                           context_tokens());
  if (!limit) return Fail(std::move(limit.error()));
  request.output_tokens_max = *limit;
  for (const Status& status : {model.tokenizer().CheckTokens(request.prompt),
                               ValidateSampling(request.sampling, model.tokenizer().size()),
                               ValidateStops(request.stops)}) {
    if (!status) return Fail(status.error());
  }
  std::unique_ptr<Grammar> grammar;
  if (!request.grammar.rules.empty()) {
    auto compiled = Grammar::Compile(model.tokenizer(), request.grammar, request.written_specials);
    if (!compiled) return Fail(std::move(compiled.error()));
    grammar = std::move(*compiled);
  }
  return core_->Add(std::move(request), false, std::move(grammar));
}

Result<RequestId> Engine::Embed(std::vector<TokenId> prompt) {
  const Model& model = core_->model();
  if (model.info().task != ModelTask::kEmbed) {
    return Fail(Code::kInvalidArgument, "this model generates text; it makes no embeddings",
                "model");
  }
  const auto size = static_cast<int>(prompt.size());
  if (size < 1 || size > context_tokens()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the input has {} tokens; it must have between 1 and {}", size,
                            context_tokens()),
                "input");
  }
  if (Status known = model.tokenizer().CheckTokens(prompt); !known) return Fail(known.error());
  return core_->Add({.prompt = std::move(prompt)}, true);
}

void Engine::Cancel(RequestId id) { core_->Cancel(id); }
EngineMetrics Engine::Metrics() const { return core_->Metrics(); }
std::vector<SlotState> Engine::Slots() const { return core_->Slots(); }
const Model& Engine::model() const { return core_->model(); }
const ChatTemplate& Engine::chat_template() const { return core_->chat_template(); }
int Engine::context_tokens() const { return core_->options().context_tokens; }
const EngineOptions& Engine::options() const { return core_->options(); }

}  // namespace penstock::engine
