#include "examples/fcprobe/runner.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

namespace fcprobe {
namespace {

constexpr uint64_t kTick = 100'000'000;
// A loop that was late does not make up for more than this at once.
constexpr uint64_t kBurst = 20'000'000;
// Between two readings of what has come in.
constexpr int kSendsAtOnce = 64;

volatile sig_atomic_t stop_asked = 0;
volatile sig_atomic_t interim_asked = 0;

void OnSignal(int signal) { (signal == SIGQUIT ? interim_asked : stop_asked) = 1; }

// Own buffers, which are there again soon.
bool Passing(const fc_probe_result& result) {
  return result.verdict == FC_VERDICT_LOCAL_FAULT &&
         (result.error == ENOBUFS || result.error == ENOMEM || result.error == EAGAIN);
}

sockaddr_storage ParseSource(const std::string& text) {
  sockaddr_storage out = {};
  auto* const four = reinterpret_cast<sockaddr_in*>(&out);
  auto* const six = reinterpret_cast<sockaddr_in6*>(&out);
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    out.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1) {
    out.ss_family = AF_INET6;
  }
  return out;
}

sockaddr_storage WithPort(sockaddr_storage source, sa_family_t family, uint16_t port) {
  source.ss_family = family;
  if (family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&source)->sin_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in6*>(&source)->sin6_port = htons(port);
  }
  return source;
}

}  // namespace

uint64_t Now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_nsec);
}

void CatchSignals() {
  struct sigaction action = {};
  action.sa_handler = &OnSignal;
  sigset_t blocked;
  sigemptyset(&blocked);
  for (int signal : {SIGINT, SIGTERM, SIGQUIT}) {
    sigaction(signal, &action, nullptr);
    sigaddset(&blocked, signal);
  }
  sigprocmask(SIG_BLOCK, &blocked, nullptr);
}

Runner::Runner(const Options& options, fc_prober* prober, Report* report)
    : options_(options),
      prober_(prober),
      report_(report),
      plan_(PlanAttempts(options)),
      source_(ParseSource(options.source)),
      interface_(options.interface.empty() ? 0 : if_nametoindex(options.interface.c_str())) {}

Runner::Probe* Runner::NewProbe(TargetState* state) {
  if (idle_.empty()) {
    probes_.push_back(std::make_unique<Probe>());
    idle_.push_back(probes_.back().get());
  }
  Probe* const probe = idle_.back();
  idle_.pop_back();
  *probe = {};
  probe->runner = this;
  probe->state = state;
  return probe;
}

void Runner::Recycle(Probe* probe) { idle_.push_back(probe); }

uint64_t Runner::ProbesOf(const TargetState& state) const {
  if (options_.source_ports != 0) return options_.source_ports;
  if (options_.mode == Mode::kLoop) return UINT64_MAX;
  return options_.mode == Mode::kCount ? options_.count : (state.begun == 0 ? 1 : state.begun);
}

void Runner::Plan(TargetState* state, uint64_t due) {
  if (state->begun >= ProbesOf(*state)) return;
  Probe* const probe = NewProbe(state);
  probe->due = due;
  probe->verdict.sequence = state->begun++;
  if (options_.source_ports != 0)
    probe->verdict.source_port = static_cast<uint16_t>(options_.first_source_port + probe->verdict.sequence);
  queue_.Push(probe);
}

bool Runner::Run(std::vector<TargetState>* states) {
  states_ = states;
  const uint64_t start = Now();
  totals_.targets = states->size();
  for (TargetState& state : *states) Plan(&state, start);
  while ((open_ != 0 || !queue_.empty()) && !enough_) {
    SendDue(Now());
    if (code_ != FC_OK) return false;
    Wait();
    fc_prober_process(prober_);
    if (report_->wants_ticks()) report_->Tick(totals_);
    if (HandleSignals()) break;
  }
  totals_.elapsed = Now() - start;
  return code_ == FC_OK;
}

void Runner::SendDue(uint64_t now) {
  for (int sent = 0; sent < kSendsAtOnce && !queue_.empty() && code_ == FC_OK; ++sent) {
    Probe* const probe = queue_.front();
    if (probe->due > now || may_send_ > now) return;
    queue_.Pop();
    may_send_ = std::max(may_send_, now - std::min(now, kBurst)) + options_.interval;
    if (probe->attempt == 0) {
      const uint64_t period = options_.mode == Mode::kVerdict ? 0 : options_.period;
      Plan(probe->state, now + period);
    }
    Send(probe);
  }
}

void Runner::Send(Probe* probe) {
  const Target& target = probe->state->target;
  const Attempt& attempt = plan_[probe->attempt];
  fc_probe_options how;
  fc_probe_options_init(&how);
  how.flags = options_.dont_fragment ? FC_PROBE_DONT_FRAGMENT : 0;
  how.deadline_ns = attempt.deadline;
  std::copy(attempt.hedges.begin(), attempt.hedges.end(), how.hedge_ns);
  how.deadline_max_ns = options_.adaptive == 0 ? 0 : std::max(options_.adaptive, attempt.deadline);
  how.mechanism = options_.mechanism;
  if (target.port != 0 && how.mechanism == FC_PROBE_NONE) how.mechanism = FC_PROBE_TCP_CONNECT;
  const bool bound = source_.ss_family != AF_UNSPEC || probe->verdict.source_port != 0;
  const sockaddr_storage source = WithPort(source_, target.host.ss_family, probe->verdict.source_port);
  if (bound) how.source = reinterpret_cast<const sockaddr*>(&source);
  if (bound) how.source_length = target.length;
  how.interface_index = interface_;
  how.size = how.mechanism == FC_PROBE_TCP_CONNECT || how.mechanism == FC_PROBE_TCP_SYN ? 0 : options_.size;
  how.dscp = options_.dscp;
  how.ttl = options_.ttl;
  const int32_t code = fc_prober_probe(prober_, reinterpret_cast<const sockaddr*>(&target.host),
                                       target.length, &how, &OnResult, probe, nullptr);
  if (code != FC_PENDING) {
    code_ = code;
    return;
  }
  ++open_;
}

void Runner::OnResult(void* user_data, const fc_probe_result* result) {
  auto* const probe = static_cast<Probe*>(user_data);
  probe->runner->Took(probe, *result);
}

void Runner::Took(Probe* probe, const fc_probe_result& result) {
  --open_;
  probe->verdict.packets += result.packets;
  totals_.packets += result.packets;
  // Hedges are sent when they are due, and paid for afterwards.
  if (result.packets > 1) may_send_ += (result.packets - 1) * options_.interval;
  if (result.verdict == FC_VERDICT_DOWN_TIMEOUT) totals_.timeouts += result.packets;
  if (result.icmp_type >= 0) ++totals_.icmp_errors;
  if (enough_) return Recycle(probe);
  if (TriesAgain(probe, result)) return queue_.Push(probe);
  probe->verdict.result = result;
  probe->verdict.result.deadline_ns += probe->waited;
  Judge(probe);
  Recycle(probe);
}

// Silence and full buffers are tried again; a host that is said to be unreachable is judged.
bool Runner::TriesAgain(Probe* probe, const fc_probe_result& result) {
  // connect() has the second name for it.
  const bool taken = result.verdict == FC_VERDICT_LOCAL_FAULT &&
                     (result.error == EADDRINUSE || result.error == EADDRNOTAVAIL);
  const uint32_t next_port = options_.first_source_port + options_.source_ports + spare_ports_;
  if (probe->verdict.source_port != 0 && taken && spare_ports_ < options_.source_ports &&
      next_port <= 65535) {
    ++spare_ports_;
    probe->verdict.source_port = static_cast<uint16_t>(next_port);
    probe->due = Now();
    return true;
  }
  const bool passing = Passing(result);
  if (!passing && result.verdict != FC_VERDICT_DOWN_TIMEOUT) return false;
  if (probe->attempt + 1 >= plan_.size()) return false;
  probe->due = Now() + (passing ? plan_[probe->attempt].deadline : 0);
  probe->waited += plan_[probe->attempt].deadline;
  ++probe->attempt;
  return true;
}

void Runner::Judge(Probe* probe) {
  Verdict& verdict = probe->verdict;
  TargetState& state = *probe->state;
  const int32_t said = verdict.result.verdict;
  verdict.reached = said == FC_VERDICT_UP || (said == FC_VERDICT_UP_PORT_CLOSED && !options_.need_open);
  ++state.judged;
  state.packets += verdict.packets;
  state.last = verdict;
  if (verdict.reached) {
    if (state.reached++ == 0) ++totals_.alive;
    ++totals_.answers;
    state.rtt.Add(verdict.result.rtt_ns);
    totals_.rtt.Add(verdict.result.rtt_ns);
  } else if (verdict.source_port != 0) {
    state.failed.push_back(verdict);
  }
  if (options_.each_rtt) {
    if (state.each.size() <= verdict.sequence) state.each.resize(verdict.sequence + 1);
    if (verdict.reached) state.each[verdict.sequence] = verdict.result.rtt_ns;
  }
  report_->Judged(state, verdict);
  enough_ = options_.stop_when_reached && totals_.alive >= options_.least_reachable;
}

void Runner::Wait() {
  const uint64_t now = Now();
  uint64_t until = fc_prober_deadline(prober_);
  if (!queue_.empty()) until = std::min(until, std::max(queue_.front()->due, may_send_));
  if (report_->wants_ticks()) until = std::min(until, now + kTick);
  const uint64_t wait = until > now ? until - now : 0;
  timespec timeout = {static_cast<time_t>(wait / 1'000'000'000), static_cast<long>(wait % 1'000'000'000)};
  pollfd readable = {fc_prober_fd(prober_), POLLIN, 0};
  sigset_t none;
  sigemptyset(&none);
  ppoll(&readable, 1, until == UINT64_MAX ? nullptr : &timeout, &none);
}

// True: it is over.
bool Runner::HandleSignals() {
  if (interim_asked != 0) report_->Interim(*states_);
  interim_asked = 0;
  return stop_asked != 0;
}

}  // namespace fcprobe
