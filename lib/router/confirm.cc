// Peers: routers that are asked whether they reach a host that this one does not hear, and that ask in turn.
// A host that a peer reaches is not dead, only this process's way to it is; nothing is moved then.
#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/router/core.h"

namespace fastcontainer {
namespace {

// A question to the peers and what they answered are good for so long.
constexpr Nanos kInquiryHolds = 1 * kSecond;
// A peer probes the host itself, under its own deadline, and a datagram may be lost on either way.
constexpr Nanos kPatience = 100 * kMillisecond;
constexpr Nanos kAgainFirst = 5 * kMillisecond;

}  // namespace

void Router::Core::AskPeers(HostState& host) {
  if (options_.peers.empty() || options_.paper || options_.admit_by != AdmitBy::kConfirm) return;
  const Nanos now = reactor_.Now();
  std::unique_ptr<Inquiry>& made = inquiries_[&host];
  if (made == nullptr) made = std::make_unique<Inquiry>();
  Inquiry& inquiry = *made;
  if (inquiry.request != 0 && now - inquiry.asked < kInquiryHolds) return;
  inquiry.request = next_request_++;
  inquiry.asked = now;
  inquiry.tries = 0;
  inquiry.over = false;
  inquiry.answers.assign(options_.peers.size(), PeerVerdict::kNone);
  SendPeerProbes(host);
}

void Router::Core::SendPeerProbes(HostState& host) {
  Inquiry& inquiry = *inquiries_[&host];
  Message m;
  m.type = MessageType::kPeerProbe;
  m.request_id = inquiry.request;
  m.host = host.id;
  for (size_t i = 0; i < options_.peers.size(); ++i) {
    if (inquiry.answers[i] != PeerVerdict::kNone) continue;
    channel_->Send(options_.peers[i], m);
    ++stats_.peer_probes;
  }
  const Nanos left = inquiry.asked + kPatience - reactor_.Now();
  reactor_.CancelTimer(inquiry.timer);
  inquiry.timer = reactor_.After(std::min(kAgainFirst << inquiry.tries++, std::max<Nanos>(left, 0)),
                                 [this, &host] { PeersWereSilent(host); });
}

void Router::Core::PeersWereSilent(HostState& host) {
  Inquiry& inquiry = *inquiries_[&host];
  inquiry.timer = 0;
  if (reactor_.Now() - inquiry.asked < kPatience) return SendPeerProbes(host);
  inquiry.over = true;
  AdmitWaiting();
}

// What the peers say so far of a host that this process has judged.
Router::Core::Admission Router::Core::Confirmed(HostState& host) {
  if (options_.peers.empty() || options_.paper || options_.admit_by != AdmitBy::kConfirm)
    return Admission::kYes;
  AskPeers(host);
  const Inquiry& inquiry = *inquiries_[&host];
  const auto count = [&](PeerVerdict verdict) {
    return static_cast<size_t>(std::count(inquiry.answers.begin(), inquiry.answers.end(), verdict));
  };
  if (PeerReaches(host)) return Admission::kNo;
  // A dispatcher that a peer does not hear either is gone, whether or not the machine is.
  const size_t agree = count(PeerVerdict::kServiceDown) + count(PeerVerdict::kDown);
  if (agree >= std::min<size_t>(std::max<uint32_t>(options_.confirm, 1), options_.peers.size()))
    return Admission::kYes;
  const size_t answered = options_.peers.size() - count(PeerVerdict::kNone);
  if (!inquiry.over && answered < options_.peers.size()) return Admission::kWait;
  // Peers that say nothing may be dead, or I am cut off from them as well: a witness decides.
  if (reactor_.Now() < believed_until_) return Admission::kYes;
  if (witnesses_asked_ == 0) AskWitnesses();
  return Admission::kWait;
}

bool Router::Core::PeerReaches(const HostState& host) const {
  const auto found = inquiries_.find(&host);
  if (found == inquiries_.end() || reactor_.Now() - found->second->asked >= kInquiryHolds) return false;
  const std::vector<PeerVerdict>& answers = found->second->answers;
  return std::find(answers.begin(), answers.end(), PeerVerdict::kUp) != answers.end();
}

void Router::Core::EndVetoed(Container& c) {
  ++stats_.peer_vetoes;
  EndRelocation(c, false,
                {RouteCode::kIsolated,
                 absl::StrCat("a peer reaches host ", c.relocation->from->id,
                              ", and this process does not: it moves nothing away from there"),
                 kSecond});
}

void Router::Core::OnPeerProbe(const Address& from, const Message& m) {
  if (std::find(options_.peers.begin(), options_.peers.end(), from) == options_.peers.end()) return;
  HostState* host = hosts_.Find(m.host);
  if (host == nullptr || !host->exists || !host->address)
    return SendPeerVerdict(from, m.request_id, m.host, PeerVerdict::kUnknown);
  std::vector<PeerQuestion>& questions = peer_questions_[host];
  for (const PeerQuestion& question : questions)
    if (question.from == from && question.request == m.request_id) return;
  questions.push_back({from, m.request_id});
  // Not from what was heard before: the asker's packets came after that, and were not answered.
  hosts_.Check(*host, hosts_.default_probe(), /*ask_dispatcher=*/true);
}

void Router::Core::SendPeerVerdict(const Address& to, uint64_t request, const std::string& host,
                                   PeerVerdict verdict) {
  Message m;
  m.type = MessageType::kPeerVerdict;
  m.request_id = request;
  m.host = host;
  m.verdict = verdict;
  channel_->Send(to, m);
}

void Router::Core::AnswerPeers(HostState& host, PeerVerdict verdict) {
  const auto found = peer_questions_.find(&host);
  if (found == peer_questions_.end()) return;
  const std::vector<PeerQuestion> questions = std::move(found->second);
  peer_questions_.erase(found);
  for (const PeerQuestion& question : questions)
    SendPeerVerdict(question.from, question.request, host.id, verdict);
}

void Router::Core::OnPeerVerdict(const Address& from, const Message& m) {
  const auto peer = std::find(options_.peers.begin(), options_.peers.end(), from);
  HostState* host = hosts_.Find(m.host);
  if (peer == options_.peers.end() || host == nullptr) return;
  const auto found = inquiries_.find(host);
  if (found == inquiries_.end() || found->second->request != m.request_id) return;
  PeerVerdict& answer = found->second->answers[static_cast<size_t>(peer - options_.peers.begin())];
  if (std::exchange(answer, m.verdict) == m.verdict) return;
  AdmitWaiting();
}

void Router::Core::AdmitWaiting() {
  const std::vector<Container*> waiting(relocating_.begin(), relocating_.end());
  for (Container* c : waiting)
    if (c->relocation != nullptr && c->relocation->candidates.empty() && c->relocation->timer == 0 &&
        c->relocation->second_look == 0 && c->relocation->txn == 0)
      Admit(*c);
}

}  // namespace fastcontainer
