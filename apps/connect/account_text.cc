#include <cstdio>

#include "apps/connect/account.h"

namespace rejoin::connect {
namespace {

constexpr std::size_t kWholeValueMax = 24, kShownEnd = 8;

// A message from anywhere goes to a terminal: what would steer it is not let through.
std::string printable(Bytes text) {
  std::string out;
  for (const char c : text) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '.' : c;
  return out;
}

void say(const std::string& line) {
  std::fprintf(stdout, "%s\n", line.c_str());
  std::fflush(stdout);
}

void row(std::string_view title, const std::string& text) {
  std::string line = "   " + std::string(title);
  line.resize(20, ' ');
  say(line + printable(text));
}

std::string counted(std::uint64_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

class TextReporter final : public Reporter {
 public:
  void connected(const Account& account) override {
    said_server_ = false;
    say("#" + std::to_string(account.number) + " " + account.local.text() + " -> " + account.url);
    for (const SentCookie& cookie : account.cookies_sent)
      row("cookie sent", cookie.name + "=" + shortened(cookie.value));
  }

  void answered(const Account& account) override {
    if (account.status && *account.status != 101) row("status", std::to_string(*account.status));
    for (const ReceivedCookie& cookie : account.cookies_received) {
      std::string text = cookie.name + "=" + shortened(cookie.value);
      for (const std::string& attribute : cookie.attributes) text += "; " + attribute;
      row("cookie received", text);
    }
  }

  void received(const Account& account) override {
    say("   < " + printable(account.messages.back()));
    if (!account.server || said_server_) return;
    said_server_ = true;
    row("server", *account.server);
  }

  void ended(const Account& account) override {
    // A dial that failed was not told of before.
    if (!account.local) say("#" + std::to_string(account.number) + " -> " + account.url);
    if (account.error) row("error", *account.error);
    if (account.local)
      say(account.close_code ? "   closed " + std::to_string(*account.close_code) : "   closed");
  }

 private:
  bool said_server_ = false;
};

class TextSessionReporter final : public SessionReporter {
 public:
  void linked(const SessionAccount& account) override {
    const LinkAccount& link = account.links.back();
    say("#" + std::to_string(account.number) + " " + link.local + " -> " + link.url);
    std::string session = link.resumed ? "resumed" : "new";
    session += ", epoch " + std::to_string(link.epoch);
    if (link.resumed) session += link.whole ? ", nothing lost" : ", kept, but the stream has a gap";
    row("session", session);
    row("round trips", std::to_string(link.round_trips) + ", " +
                           counted(static_cast<std::uint64_t>(link.dials), "dial") + ", " +
                           std::to_string(link.took_ms) + " ms");
    if (link.resumed) {
      row("replayed",
          counted(link.to_come, "message") + " to come, " + std::to_string(link.sent_again) + " sent again");
    }
    for (const SentCookie& cookie : account.cookies)
      row("cookie", cookie.name + "=" + shortened(cookie.value));
  }
  void lost(const SessionAccount&, const std::string& why) override { row("link lost", why); }
  void received(const SessionAccount& account) override {
    say("   < " + printable(account.messages.back()));
    if (!account.server || said_server_) return;
    said_server_ = true;
    row("server", *account.server);
  }
  void ended(const SessionAccount& account) override {
    if (account.error) row("error", *account.error);
    if (account.end_code) row("session ended", std::to_string(*account.end_code));
    if (!account.links.empty() && !account.end_code) say("   left; the session waits");
    said_server_ = false;
  }

 private:
  bool said_server_ = false;
};

}  // namespace

std::string shortened(std::string_view value) {
  if (value.size() <= kWholeValueMax) return std::string(value);
  return std::string(value.substr(0, kShownEnd)) + "..." +
         std::string(value.substr(value.size() - kShownEnd));
}

std::unique_ptr<Reporter> make_text_reporter() { return std::make_unique<TextReporter>(); }
std::unique_ptr<SessionReporter> make_text_session_reporter() {
  return std::make_unique<TextSessionReporter>();
}

}  // namespace rejoin::connect
