// A restart that loses nobody. The process that serves offers its listening sockets at a Unix socket; the
// next one takes them from there (SCM_RIGHTS, unix(7)), and when it serves, it relieves the first, which then
// drains. Who has connected meanwhile waits in the one queue that both have.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_HANDOVER_H_
#define FASTCONTAINER_EXAMPLES_PROXY_HANDOVER_H_

#include <uv.h>

#include <list>
#include <string>
#include <vector>

namespace proxy {

// The process before this one, if there is one.
class Predecessor {
 public:
  Predecessor() = default;
  ~Predecessor();
  Predecessor(const Predecessor&) = delete;
  Predecessor& operator=(const Predecessor&) = delete;

  // Its sockets; none if nobody offers any at `path`. Blocks for a moment. False: *error says what went
  // wrong.
  bool Ask(const std::string& path, std::vector<int>* sockets, std::string* error);
  // We serve; it may drain. Without this it goes on when this process ends.
  void Relieve();

 private:
  int connection_ = -1;
};

// What is offered to the process after this one.
class Handover {
 public:
  Handover() = default;
  ~Handover() { Close(); }
  Handover(const Handover&) = delete;
  Handover& operator=(const Handover&) = delete;

  // From now on, in the place of whoever offers there now; not at all without a path. `relieved` is called at
  // most once. What goes wrong is told on standard error: this process serves all the same.
  void Offer(uv_loop_t* loop, const std::string& path, std::vector<int> sockets,
             void (*relieved)(void* user_data), void* user_data);
  // The loop must run once more afterwards.
  void Close();

 private:
  struct Watch {
    uv_poll_t poll;
    Handover* owner;
    int descriptor;
  };
  bool Bind(const std::string& path, std::string* error);
  Watch* Add(uv_loop_t* loop, int descriptor);
  void Remove(Watch* watch);
  static void OnSuccessor(uv_poll_t* poll, int status, int events);
  static void OnWord(uv_poll_t* poll, int status, int events);

  std::string path_;  // empty: nothing is offered, or it is another's by now
  std::vector<int> sockets_;
  std::list<Watch*> watches_;  // the first one listens
  int listener_ = -1;
  void (*relieved_)(void*) = nullptr;
  void* user_data_ = nullptr;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_HANDOVER_H_
