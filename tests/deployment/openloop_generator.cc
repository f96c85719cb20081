#include "tests/deployment/openloop_generator.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace openloop {

void PrepareProcess() {
  signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

Generator::Generator(Options options, Sink* sink)
    : options_(std::move(options)), sink_(sink), loop_(epoll_create1(EPOLL_CLOEXEC)) {}

Generator::~Generator() { close(loop_); }

void Generator::Run() {
  begin_ = Now();
  end_ = begin_ + static_cast<Nanos>(options_.seconds * static_cast<double>(kSecond));
  sink_->Begin(begin_);
  if (options_.clients == 0) total_ = static_cast<uint64_t>(options_.rate * options_.seconds);
  for (uint64_t i = 0; i < options_.clients; ++i) ready_.emplace_back(begin_, IdleRequest());
  const bool closed = options_.clients > 0;
  for (;;) {
    const Nanos now = Now();
    const bool over = closed ? now >= end_ : sent_ >= total_;
    if (over && open_ == 0) return;
    const Nanos latest = now + kSecond / 10;
    Wait(over ? latest : std::min(latest, closed ? SendClients(now) : SendScheduled(now)));
    Expire();
    sink_->Tick(Now());
  }
}

Nanos Generator::SendScheduled(Nanos now) {
  const double interval = 1e9 / options_.rate;
  for (;; ++sent_) {
    const Nanos due = begin_ + static_cast<Nanos>(static_cast<double>(sent_) * interval);
    if (sent_ >= total_ || due > now) return due;
    if (open_ >= options_.max_open) {
      Refuse(due);
    } else {
      Send(IdleRequest(), due);
    }
  }
}

Nanos Generator::SendClients(Nanos now) {
  while (!later_.empty() && later_.front().first <= now) {
    ready_.push_back(later_.front());
    later_.pop_front();
  }
  // Those who are answered at once come again in the next turn: the loop must see the others, too.
  for (size_t left = ready_.size(); left > 0; --left) {
    const auto [due, request] = ready_.front();
    ready_.pop_front();
    Send(request, due);
    ++sent_;
  }
  if (!ready_.empty()) return now;
  return later_.empty() ? end_ : std::min(end_, later_.front().first);
}

void Generator::Send(Request* request, Nanos due) {
  ++open_;
  if (request->Start(sent_, due)) Finish(request);
}

Request* Generator::IdleRequest() {
  if (idle_requests_.empty()) {
    requests_.push_back(std::make_unique<Request>(loop_, requests_.size(), options_));
    return requests_.back().get();
  }
  Request* request = idle_requests_.back();
  idle_requests_.pop_back();
  return request;
}

void Generator::Finish(Request* request) {
  --open_;
  const Result result = {
      request->number(),  request->index(),      request->due(),     request->sent(),   Now(),
      request->outcome(), request->body_bytes(), request->silence(), request->reused(), request->repeated()};
  sink_->Done(result);
  if (options_.clients == 0) {
    idle_requests_.push_back(request);
  } else if (result.succeeded()) {
    ready_.emplace_back(result.end, request);
  } else {
    later_.emplace_back(result.end + kAfterFailure, request);
  }
}

void Generator::Refuse(Nanos due) {
  const Nanos now = Now();
  sink_->Done({sent_, 0, due, now, now, "refused by openloop", 0, 0, false, false});
}

void Generator::Wait(Nanos until) {
  epoll_event events[256];
  const Nanos now = Now();
  timespec timeout{};
  if (until > now) {
    timeout.tv_sec = static_cast<time_t>((until - now) / kSecond);
    timeout.tv_nsec = static_cast<long>((until - now) % kSecond);
  }
  const int count = epoll_pwait2(loop_, events, 256, &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    Request* request = requests_[events[i].data.u64].get();
    if (request->OnReady(events[i].events)) Finish(request);
  }
}

// Looked at ten times a second: the time-out of a request is a bound on the run, not a measurement.
void Generator::Expire() {
  const Nanos now = Now();
  if (now < next_expiry_) return;
  next_expiry_ = now + kSecond / 10;
  for (auto& request : requests_) {
    if (request->busy() && now > request->due() + options_.timeout) {
      request->GiveUp("timeout");
      Finish(request.get());
    }
  }
}

}  // namespace openloop
