#include "data/roles.h"

#include "data/column_names.h"
#include "data/normalise.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <set>
#include <string_view>

namespace fettle::data {

namespace {

struct FormNames
{
    std::string_view name, title;
    Names needed; ///< roles without which there is no row
    Names optional;
};

const std::vector<FormNames>& forms()
{
    static const std::vector<FormNames> list = {
        {"messages", "conversations (role and content)", {"messages"}, {"tools", "split", "group"}},
        {"sharegpt",
         "conversations (from and value)",
         {"messages"},
         {"system", "tools", "split", "group"}},
        {"alpaca",
         "instructions with inputs and outputs",
         {"instruction", "answer"},
         {"question", "system", "history", "split", "group"}},
        {"completion", "prompts and completions", {"question", "answer"}, {"split", "group"}},
        {"labelled", "texts with classes", {"text", "label"}, {"split", "group"}},
        {"questions",
         "questions and answers",
         {"question", "answer"},
         {"system", "split", "group"}},
        {"text", "running text", {"text"}, {"split", "group"}},
    };
    return list;
}

const FormNames* findForm(std::string_view name)
{
    const auto& list = forms();
    const auto found =
        std::find_if(list.begin(), list.end(), [&](const auto& f) { return f.name == name; });
    return found == list.end() ? nullptr : &*found;
}

std::string joinedNames(const std::vector<std::string>& names)
{
    std::string text;
    for (std::size_t i = 0; i < names.size() && i < 20; ++i)
        text += (i > 0 ? ", " : "") + names[i];
    return names.size() > 20 ? text + " ..." : text;
}

/// A guess for one role.
struct Guess
{
    std::string column;
    bool strong = false, only = true;
};

class Detection
{
public:
    Detection(const std::vector<std::string>& columns, const std::vector<Record>& first,
              const ImportOptions& options)
        : m_columns(columns)
        , m_first(first)
        , m_options(options)
    {
        for (const auto& column : columns)
            m_folded.push_back(foldedName(column));
    }

    Result<Layout> run()
    {
        if (auto checked = checkOptions(); !checked)
            return checked.error();
        m_layout.roles = m_options.roles;
        if (auto form = chooseForm(); !form)
            return form.error();
        else
            m_layout.form = *form;
        const FormNames& form = *findForm(m_layout.form);
        // "question" and "text", "answer" and "label" name the same combo box of a person.
        if (form.name == "labelled" || form.name == "text")
            renameRole("question", "text");
        if (form.name == "labelled")
            renameRole("answer", "label");
        for (const auto role : form.needed)
            fillRole(role, form);
        for (const auto role : form.optional)
            fillRole(role, form);
        dropUnusedRoles(form);
        return checkNeeded(form);
    }

private:
    bool has(std::string_view role) const { return m_layout.roles.contains(std::string(role)); }

    Result<void> checkOptions() const
    {
        if (m_options.form && !findForm(*m_options.form))
            return Error{ErrorCode::InvalidInput, "this form of data is not known", "form",
                         "Use one of: " + joinedNames(formNames())};
        for (const auto& [role, column] : m_options.roles) {
            const auto& names = roleNames();
            if (std::none_of(names.begin(), names.end(),
                             [&](const auto& n) { return n.role == role; })) {
                std::vector<std::string> known;
                for (const auto& entry : names)
                    known.emplace_back(entry.role);
                return Error{ErrorCode::InvalidInput,
                             fmt::format("\"{}\" is not a role of a column", role), "roles",
                             "Use one of: " + joinedNames(known)};
            }
            if (std::find(m_columns.begin(), m_columns.end(), column) == m_columns.end())
                return Error{ErrorCode::InvalidInput,
                             fmt::format("there is no column \"{}\" for the role {}", column, role),
                             "", "The columns are: " + joinedNames(m_columns)};
        }
        return {};
    }

    /// Kind of conversation that a column holds in the first rows: "messages", "sharegpt" or "".
    std::string conversationIn(const std::string& column) const
    {
        for (const auto& record : m_first) {
            const auto found = record.fields.find(column);
            if (found == record.fields.end() || !found->is_array() || found->empty() ||
                !found->front().is_object())
                continue;
            const auto& turn = found->front();
            if (turn.contains("from") || turn.contains("speaker"))
                return "sharegpt";
            if (turn.contains("role"))
                return foldedName(column) == "conversations" ? "sharegpt" : "messages";
        }
        return {};
    }

    bool isUsed(const std::string& column) const
    {
        return std::any_of(m_layout.roles.begin(), m_layout.roles.end(),
                           [&](const auto& entry) { return entry.second == column; });
    }

    Guess guess(std::string_view role, bool weakToo = true) const
    {
        const auto& names = roleNames();
        const auto entry =
            std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.role == role; });
        for (const Names* list : {&entry->strong, &entry->weak}) {
            if (list == &entry->weak && !weakToo)
                break;
            Guess found;
            int count = 0;
            for (const auto name : *list) {
                const auto at = std::find(m_folded.begin(), m_folded.end(), name);
                if (at == m_folded.end())
                    continue;
                const auto& column = m_columns[static_cast<std::size_t>(at - m_folded.begin())];
                if (isUsed(column))
                    continue;
                if (++count == 1)
                    found.column = column;
            }
            if (count > 0)
                return {found.column, list == &entry->strong, count == 1};
        }
        return {};
    }

    bool knows(std::string_view role, bool weakToo = true) const
    {
        return has(role) || !guess(role, weakToo).column.empty();
    }
    bool named(std::string_view name) const
    {
        return std::find(m_folded.begin(), m_folded.end(), name) != m_folded.end();
    }

    Result<std::string> chooseForm()
    {
        if (m_options.form)
            return *m_options.form;
        if (has("label"))
            return std::string("labelled");
        if (has("messages")) {
            const auto kind = conversationIn(m_layout.roles["messages"]);
            return kind.empty() ? std::string("messages") : kind;
        }
        if (has("instruction"))
            return std::string("alpaca");
        if (has("question") || has("answer"))
            return std::string("questions");
        if (has("text"))
            return std::string(knows("label") ? "labelled" : "text");
        return formFromColumns();
    }

    Result<std::string> formFromColumns()
    {
        for (const auto& column : m_columns) {
            if (const auto kind = conversationIn(column);
                !kind.empty() && !named("chosen") && !named("completion")) {
                m_layout.roles["messages"] = column;
                return kind;
            }
        }
        if (named("chosen") && named("rejected"))
            return Error{
                ErrorCode::Unsupported,
                "these are better and worse answers (columns chosen and rejected), which are not "
                "trained on here",
                "",
                "To train on the better answers alone, name the columns: question=prompt and "
                "answer=chosen"};
        if (named("prompt") && named("completion"))
            return std::string("completion");
        if (knows("instruction") && knows("answer"))
            return std::string("alpaca");
        const bool label = knows("label");
        if (knows("answer", !label) && knows("question"))
            return std::string("questions");
        if (label && knows("text"))
            return std::string("labelled");
        if (knows("text", false))
            return std::string("text");
        m_layout.sure = false;
        m_layout.doubt = "no column has a name that is known";
        return std::string(m_columns.size() < 2 ? "text" : "questions");
    }

    void renameRole(const std::string& from, const std::string& to)
    {
        if (has(from) && !has(to))
            m_layout.roles[to] = m_layout.roles[from];
        m_layout.roles.erase(from);
    }

    void fillRole(std::string_view role, const FormNames& form)
    {
        if (has(role))
            return;
        const bool needed =
            std::find(form.needed.begin(), form.needed.end(), role) != form.needed.end();
        // The input of an Alpaca row is optional: only its own names count, not "description".
        Guess found = guess(role, needed);
        if (!found.column.empty()) {
            m_layout.roles[std::string(role)] = found.column;
            if (needed && !found.only)
                doubt(fmt::format("several columns could be the {}", role));
            return;
        }
        if (!needed)
            return;
        doubt(fmt::format("no column has a known name for the {}", role));
        for (const auto& column : m_columns) {
            if (isUsed(column) || foldedName(column) == "split" || foldedName(column) == "id")
                continue;
            m_layout.roles[std::string(role)] = column;
            return;
        }
    }

    void doubt(std::string why)
    {
        m_layout.sure = false;
        if (m_layout.doubt.empty())
            m_layout.doubt = std::move(why);
    }

    void dropUnusedRoles(const FormNames& form)
    {
        std::erase_if(m_layout.roles, [&](const auto& entry) {
            return std::find(form.needed.begin(), form.needed.end(), entry.first) ==
                       form.needed.end() &&
                   std::find(form.optional.begin(), form.optional.end(), entry.first) ==
                       form.optional.end();
        });
        if (!m_options.roles.contains("split") && has("split") &&
            !holdsSplits(m_layout.roles["split"]))
            m_layout.roles.erase("split");
    }

    /// True when the first rows' values in that column are names of splits or empty.
    bool holdsSplits(const std::string& column) const
    {
        bool any = false;
        for (const auto& record : m_first) {
            const auto found = record.fields.find(column);
            if (found == record.fields.end() || found->is_null())
                continue;
            if (!found->is_string() || (!found->get_ref<const std::string&>().empty() &&
                                        !splitFrom(found->get<std::string>())))
                return false;
            any = true;
        }
        return any;
    }

    Result<Layout> checkNeeded(const FormNames& form)
    {
        for (const auto role : form.needed) {
            if (!has(role))
                return Error{ErrorCode::InvalidInput,
                             fmt::format("there is no column for the {} of {}", role, form.title),
                             "", "The columns are: " + joinedNames(m_columns)};
        }
        std::set<std::string> used;
        for (const auto role : form.needed) {
            if (!used.insert(m_layout.roles[std::string(role)]).second)
                return Error{ErrorCode::InvalidInput,
                             fmt::format("the column \"{}\" cannot have two roles",
                                         m_layout.roles[std::string(role)]),
                             "roles", "Name two different columns"};
        }
        return m_layout;
    }

    const std::vector<std::string>& m_columns;
    const std::vector<Record>& m_first;
    const ImportOptions& m_options;
    std::vector<std::string> m_folded;
    Layout m_layout;
};

} // namespace

Result<Layout> detectLayout(const std::vector<std::string>& columns,
                            const std::vector<Record>& first, const ImportOptions& options)
{
    return Detection(columns, first, options).run();
}

std::vector<std::string> formNames()
{
    std::vector<std::string> names;
    for (const auto& form : forms())
        names.emplace_back(form.name);
    return names;
}

std::string formTitle(const std::string& form)
{
    const auto* found = findForm(form);
    return found ? std::string(found->title) : form;
}

} // namespace fettle::data
