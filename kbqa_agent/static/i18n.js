// The page's own words, in English and Chinese. {0}, {1} are what is put in.

const WORDS = {
  skip: ["Skip to the question", "跳到提问框"],
  views: ["Views", "视图"],
  ask: ["Ask", "提问"],
  compare: ["Compare", "对比"],
  about: ["{0} triples", "{0} 条三元组"],
  facts: ["{0} facts about {1} entities. Version {2}.", "收录 {1} 个实体的 {0} 条事实。版本 {2}。"],
  dark: ["Dark", "深色"],
  light: ["Light", "浅色"],
  dialogues: ["Dialogues", "历史对话"],
  new_dialogue: ["New dialogue", "新对话"],
  untitled: ["(no question yet)", "（还没有提问）"],
  turns: ["{0} questions", "{0} 个问题"],
  one_turn: ["1 question", "1 个问题"],
  delete: ["Delete", "删除"],
  delete_named: ["Delete the dialogue {0}", "删除对话 {0}"],
  delete_sure: ["Really delete?", "确定删除？"],
  deleted: ["The dialogue is deleted.", "对话已删除。"],
  chat: ["Questions and answers", "问答"],
  welcome: ["Ask the knowledge base", "向知识库提问"],
  tip_evidence: [
    "Every answer comes with the facts it rests on; where there is none, the page says so.",
    "每个答案都附有所依据的事实；没有依据时会直说。",
  ],
  tip_follow: ["Go on asking: “and its author?”, “the second one”.", "可以接着追问：“那作者呢？”“第二个”。"],
  tip_names: [
    "Names are completed while you type; choose with ↓ and Enter.",
    "输入时会补全名称，用 ↓ 和回车选择。",
  ],
  tip_feedback: ["Correct an answer, and the next one is better.", "指出错误，下一次的回答就会更好。"],
  question: ["Question", "问题"],
  ask_here: ["Ask a question …", "输入问题……"],
  names: ["Names of the knowledge base", "知识库中的名称"],
  n_names: ["{0} names; choose with the arrow keys", "{0} 个名称，用方向键选择"],
  send: ["Ask", "提问"],
  stop: ["Stop", "停止"],
  stopped: ["Stopped.", "已停止。"],
  retry: ["Try again", "重试"],
  retry_new: ["Ask in a new dialogue", "在新对话中提问"],
  gone: ["This dialogue is not there any more: it was deleted.", "这个对话已不存在：已被删除。"],
  unreachable: ["The server cannot be reached. Is it running?", "无法连接服务器，请检查它是否在运行。"],
  key_needed: ["This server wants a key.", "此服务器需要密钥。"],
  too_long: ["That is too long.", "内容太长。"],
  too_many: ["You have asked too often in a short time.", "提问过于频繁。"],
  busy: ["The server has too much to do.", "服务器繁忙。"],
  too_slow: ["No answer came in time. Ask again, or something simpler.", "未能及时得到答案，请重试或换个简单的问题。"],
  broken_off: ["The answer broke off.", "回答中断了。"],
  wait: ["{0} Try again in {1} s.", "{0} 请在 {1} 秒后重试。"],
  you: ["You asked", "你的问题"],
  answer: ["Answer", "回答"],
  looking: ["Looking …", "正在查找……"],
  so_far: ["Likely so far", "目前的候选"],
  writing: ["The model writes", "模型正在生成"],
  said: ["Answer: {0}. {1} sure.", "答案：{0}。把握 {1}。"],
  understood: ["Understood as: {0}", "理解为：{0}"],
  sure: ["{0} sure", "把握 {0}"],
  generatorLate: ["The language model took too long; this is the ranker's answer.", "语言模型超时，这是排序模型的答案。"],
  partial: ["Parts of the knowledge base are missing at the moment.", "知识库目前有一部分缺失。"],
  own_words: ["The model's own words: no fact of the knowledge base backs this.", "这是模型自己写的，知识库中没有依据。"],
  corrected: ["A correction that people gave; no fact of the knowledge base backs it.", "这是用户给出的更正，知识库中没有依据。"],
  no_entity: ["Nothing in the question is in the knowledge base.", "知识库中没有问题里提到的事物。"],
  no_attribute: ["The knowledge base does not say.", "知识库中没有这项信息。"],
  ambiguous: ["Several things have that name. Which one do you mean?", "有多个同名的事物，你指的是哪一个？"],
  low_confidence: ["Nothing is likely enough to be said.", "没有足够可靠的答案。"],
  choices: ["Which one do you mean?", "你指的是哪一个？"],
  pick_number: ["#{0}", "第{0}个"],
  evidence: ["Evidence", "依据"],
  candidates: ["Candidates", "候选答案"],
  shares: ["Candidates, each as a share of all of that name", "候选答案（占所有同名者的比例）"],
  more_candidates: ["{0} more, less likely", "另有 {0} 个可能性更小的候选"],
  no_evidence: ["No triple backs it.", "没有三元组支持。"],
  show_all: ["show all", "显示全部"],
  show_more: ["Show more", "显示更多"],
  show_less: ["show less", "收起"],
  around: ["Around {0}", "{0}的关联"],
  around_label: ["Show what is around {0}", "查看{0}的关联"],
  n_around: ["{0} facts shown.", "显示了 {0} 条事实。"],
  more_around: ["{0} facts shown; there are more.", "显示了 {0} 条事实，还有更多。"],
  nothing_around: ["The knowledge base says nothing more about {0}.", "知识库中没有关于{0}的更多信息。"],
  fact: ["{0}, {1}: {2}", "{0}，{1}：{2}"],
  which_entity: ["Which one", "哪一个"],
  back: ["Back", "返回"],
  close: ["Close", "关闭"],
  rate: ["Rate this answer", "评价这个答案"],
  good: ["Right", "正确"],
  bad: ["Wrong", "错误"],
  unknown: ["Not in the knowledge base", "知识库中没有"],
  i_know: ["I know the answer", "我知道答案"],
  correction: ["What is right? (may stay empty)", "正确答案是什么？（可不填）"],
  correction_needed: ["What is the answer?", "答案是什么？"],
  comment: ["Comment (may stay empty)", "备注（可不填）"],
  submit: ["Submit", "提交"],
  cancel: ["Cancel", "取消"],
  undo: ["Undo", "撤销"],
  kept: ["Thank you. It counts from the next question on.", "谢谢，从下一个问题起生效。"],
  undone: ["Undone.", "已撤销。"],
  undone_before: ["It was undone already.", "此前已撤销。"],
  first_system: ["First system", "系统一"],
  second_system: ["Second system", "系统二"],
  blind: ["Blind: names after the vote", "盲评：投票后显示名称"],
  left: ["Left", "左边"],
  right: ["Right", "右边"],
  left_better: ["Left is better", "左边更好"],
  right_better: ["Right is better", "右边更好"],
  tie: ["Equally good", "一样好"],
  same_answer: ["Both say the same: vote for neither if nothing else tells them apart.", "两边的回答相同：如无其他差别，请选“一样好”。"],
  voted: ["Your vote is kept. Left: {0}; right: {1}.", "投票已保存。左边：{0}；右边：{1}。"],
  compared: ["Two answers are there. Vote for the better one.", "两个回答已就绪，请投票。"],
  win_rates: ["Win rates", "胜率"],
  systems: ["Systems", "系统"],
  wins: ["Wins", "胜"],
  ties: ["Ties", "平"],
  win_rate: ["Win rate of the first", "前者胜率"],
  no_votes: ["No votes yet.", "还没有投票。"],
  few_votes: ["{0} of the {1} votes that it takes", "共 {0} 票，满 {1} 票后显示"],
  interval: ["{0} (95 % interval {1} to {2})", "{0}（95% 区间 {1} 至 {2}）"],
  key: ["Key", "密钥"],
  key_title: ["This server wants a key", "此服务器需要密钥"],
  key_note: ["It stays in this tab and is forgotten when you close it.", "密钥只保存在本标签页，关闭后即清除。"],
  key_wrong: ["That key is not known here.", "密钥不正确。"],
  key_use: ["Use it", "使用"],
  key_forget: ["Forget the key", "清除密钥"],
};
const LANGUAGES = ["en", "zh"];
const KEPT = "kbqa-language";

let language = chosen();

function chosen() {
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // The browser's language it is.
  }
  if (LANGUAGES.includes(kept)) return kept;
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const currentLanguage = () => language;

/** A word of the page in the language of now. */
export function t(name, ...values) {
  const text = WORDS[name][LANGUAGES.indexOf(language)];
  return text.replace(/\{(\d)\}/g, (_, number) => values[Number(number)]);
}

export const percent = (share) =>
  new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: share < 0.1 || share > 0.99 ? 1 : 0 }).format(share);
export const count = (number) => new Intl.NumberFormat(language).format(number);

/** Go to the other language, and put its words where the page has its own. */
export function switchLanguage() {
  language = language === "en" ? "zh" : "en";
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // It then lasts until the page is loaded again.
  }
  translatePage();
}

/** Put the page's words into everything that has data-text, data-label or data-placeholder. */
export function translatePage() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = t(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", t(element.dataset.label));
  for (const element of document.querySelectorAll("[data-placeholder]")) element.placeholder = t(element.dataset.placeholder);
}
