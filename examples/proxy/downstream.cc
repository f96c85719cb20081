#include "examples/proxy/downstream.h"

#include <uv.h>

#include "examples/proxy/address.h"
#include "examples/proxy/context.h"
#include "examples/proxy/proxy_header.h"

namespace proxy {

namespace {

// A body is late unless so much of it comes within the time-out: a byte now and then does not keep a
// container busy.
constexpr size_t kLeastPart = 1024;

// Pipelined requests that wait for their turn.
constexpr size_t kMaxHeld = kMaxHeadBytes + 1024;

}  // namespace

Downstream::Downstream(Context* context)
    : Tcp(context->loop, &context->buffer), context_(context), timeout_(this), send_timeout_(this) {
  index_ = context_->clients.size();
  context_->clients.push_back(this);
  ++context_->metrics.connections;
}

Downstream::~Downstream() {
  Downstream* last = context_->clients.back();
  context_->clients[index_] = last;
  last->index_ = index_;
  context_->clients.pop_back();
  --context_->metrics.connections;
  context_->client_closed(context_->server);
}

void Downstream::Start() {
  ++context_->metrics.accepted;
  sockaddr_storage address = {};
  int length = sizeof address;
  uv_tcp_getpeername(handle(), reinterpret_cast<sockaddr*>(&address), &length);
  SetPeer(address);
  if (trusted_ && context_->config.proxy_protocol) phase_ = Phase::kPreface;
  // A client that says nothing has as long as one that is slow.
  context_->header.Start(&timeout_, context_->now());
  StartReading();
}

Exchange& Downstream::exchange() {
  if (exchange_ == nullptr) exchange_ = Exchange::Take(context_, this);
  return *exchange_;
}

void Downstream::SetPeer(const sockaddr_storage& address) {
  peer_ = FormatHost(address);
  trusted_ = context_->config.trusted.Contains(address);
}

void Downstream::CloseNow(bool reset) {
  timeout_.Stop();
  send_timeout_.Stop();
  Close(reset);
}

void Downstream::OnData(std::string_view data) {
  if (phase_ == Phase::kFlush || phase_ == Phase::kLinger) return;
  if (phase_ == Phase::kTunnel) {
    exchange_->TunnelData(data);
    return UpdateReading();
  }
  if (held_.empty()) {
    const size_t used = Consume(data);
    if (used < data.size()) held_.assign(data.substr(used));
  } else {
    held_.append(data);
    ConsumeHeld();
  }
  if (!closing()) UpdateReading();
}

void Downstream::ConsumeHeld() {
  const size_t used = Consume(held_);
  held_.erase(0, used);
}

size_t Downstream::Consume(std::string_view data) {
  const size_t size = data.size();
  consuming_ = true;
  while (!data.empty() && !closing()) {
    if (phase_ == Phase::kPreface) {
      if (!TakePreface(&data)) break;
    } else if (phase_ == Phase::kHead) {
      if (!TakeHead(&data)) break;
    } else if (phase_ == Phase::kBody) {
      if (!TakeBody(&data)) break;
    } else {
      break;
    }
  }
  consuming_ = false;
  return size - data.size();
}

// False: more bytes are needed, or nothing more is wanted.
bool Downstream::TakePreface(std::string_view* data) {
  ProxyHeader header;
  const Progress progress = ReadProxyHeader(*data, &header);
  if (progress == Progress::kBad) CloseNow(true);  // it is never guessed what else it may be
  if (progress != Progress::kDone) return false;
  data->remove_prefix(header.size);
  if (header.source.ss_family != AF_UNSPEC) SetPeer(header.source);
  phase_ = Phase::kHead;
  return true;
}

bool Downstream::TakeHead(std::string_view* data) {
  while (scan_.size() <= 1 && data->starts_with("\r\n")) {
    data->remove_prefix(2);  // RFC 9112 section 2.2
    scan_.Reset();
  }
  switch (scan_.Continue(*data)) {
    case HeadScan::Result::kMore:
      if (!head_started_) context_->header.Start(&timeout_, context_->now());
      head_started_ = true;
      return false;
    case HeadScan::Result::kBad:
      exchange().Refuse(400);
      return false;
    case HeadScan::Result::kTooLarge:
      exchange().Refuse(scan_.in_first_line() ? 414 : 431);
      return false;
    case HeadScan::Result::kComplete:
      break;
  }
  timeout_.Stop();
  const std::string_view block = data->substr(0, scan_.size());
  data->remove_prefix(scan_.size());
  scan_.Reset();
  Head head;
  int status = CheckRequest(block, &head);
  if (status == 0) status = exchange().Begin(block, head);
  if (status != 0) {
    exchange().Refuse(status);
    return false;
  }
  phase_ = exchange_->request_complete() ? Phase::kResponse : Phase::kBody;
  // What is here of the body goes out with the head.
  if (phase_ == Phase::kBody && !TakeBody(data) && phase_ != Phase::kBody) return false;
  exchange_->Go();
  return true;
}

// True: the request is complete.
bool Downstream::TakeBody(std::string_view* data) {
  part_ += data->size();
  const Progress progress = exchange_->FeedBody(data);
  part_ -= data->size();
  if (progress == Progress::kDone) {
    timeout_.Stop();
    phase_ = Phase::kResponse;
    return true;
  }
  // What a chunked body leaves over is the start of a line.
  if (progress == Progress::kBad || data->size() > kMaxHeadBytes) {
    exchange().Refuse(400);
  } else if (!timeout_.running() || part_ >= kLeastPart) {
    part_ = 0;
    context_->body.Start(&timeout_, context_->now());
  }
  return false;
}

void Downstream::Send(Output* out) {
  const auto& buffers = out->Buffers();
  Write(buffers.data(), buffers.size());
  out->Clear();
  if (queued() != 0 && !send_timeout_.running()) context_->send.Start(&send_timeout_, context_->now());
}

void Downstream::Send(std::string_view data) {
  Write(data);
  if (queued() != 0 && !send_timeout_.running()) context_->send.Start(&send_timeout_, context_->now());
}

void Downstream::OnSent() {
  if (queued() == 0) {
    send_timeout_.Stop();
  } else {
    context_->send.Start(&send_timeout_, context_->now());
  }
  if (exchange_ != nullptr) exchange_->ClientSent();
  if (phase_ == Phase::kFlush) LeaveWhenSent();
}

void Downstream::Finished(bool persistent) {
  const bool complete = phase_ != Phase::kBody && phase_ != Phase::kHead;
  // What was promised is kept, also if it drains by now: the next request may be on its way.
  if (!persistent || !complete || context_->crowded) return Leave(!complete);
  phase_ = Phase::kHead;
  head_started_ = false;
  Exchange::GiveBack(std::move(exchange_));
  context_->idle.Start(&timeout_, context_->now());
  if (!consuming_ && !held_.empty()) ConsumeHeld();
  if (!consuming_ && !closing()) UpdateReading();
}

void Downstream::Leave(bool linger) {
  timeout_.Stop();
  phase_ = Phase::kFlush;
  linger_ = linger;
  LeaveWhenSent();
}

void Downstream::LeaveWhenSent() {
  if (queued() != 0) return;
  if (!linger_) return CloseNow(false);
  phase_ = Phase::kLinger;
  Shutdown();
  StartReading();
  context_->linger.Start(&timeout_, context_->now());
}

void Downstream::Abort() { CloseNow(true); }

void Downstream::BeginTunnel() {
  timeout_.Stop();
  phase_ = Phase::kTunnel;
  if (!held_.empty()) exchange_->TunnelData(held_);
  held_ = std::string();
}

void Downstream::UpdateReading() {
  if (ended_) return;
  const bool of_exchange = phase_ == Phase::kBody || phase_ == Phase::kTunnel;
  const bool full = of_exchange ? !exchange_->wants_body() : held_.size() > kMaxHeld;
  // Of a broken connection only reading tells.
  if (full && phase_ != Phase::kLinger && !broken()) {
    StopReading();
  } else {
    StartReading();
  }
}

void Downstream::OnEnd(int error) {
  if (phase_ == Phase::kTunnel) {
    ended_ = true;
    return exchange_->TunnelEnded(error);
  }
  if (exchange_ != nullptr) exchange_->ClientGone();
  CloseNow(false);
}

bool Downstream::quiet() const {
  return phase_ == Phase::kPreface || (phase_ == Phase::kHead && !head_started_);
}

void Downstream::MakeRoom() {
  if (quiet()) CloseNow(false);
}

void Downstream::Drain() {
  if (quiet()) context_->idle.Start(&timeout_, context_->now());
}

void Downstream::Cut() {
  if (exchange_ != nullptr) exchange_->ClientGone();
  CloseNow(true);
}

void Downstream::OnTimeout(void* downstream) {
  auto* self = static_cast<Downstream*>(downstream);
  if (self->phase_ == Phase::kHead && self->head_started_) return self->exchange().Refuse(408);
  if (self->phase_ == Phase::kBody) {
    if (self->reading()) return self->exchange().Refuse(408);
    // It is the container who does not take more; that has a time-out of its own.
    return self->context_->body.Start(&self->timeout_, self->context_->now());
  }
  self->CloseNow(false);
}

void Downstream::OnSendTimeout(void* downstream) {
  auto* self = static_cast<Downstream*>(downstream);
  if (self->exchange_ != nullptr) self->exchange_->ClientGone();
  self->CloseNow(true);
}

}  // namespace proxy
