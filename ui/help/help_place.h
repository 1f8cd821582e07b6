#pragma once

#include "ui/shell/place.h"

class QLineEdit;
class QListWidget;
class QTextBrowser;

namespace fettle::ui {

/// One page of the help.
struct HelpPage
{
    QString id, title, html;
};
/// All pages: places, words, keys, every setting. Made from the same descriptions as the window.
std::vector<HelpPage> helpPages();

/// Help, offline and searchable.
class HelpPlace : public Place
{
    Q_OBJECT
public:
    explicit HelpPlace(Session& session, QWidget* parent = nullptr);
    /// A page's id, or "place/objectName" of the control that had the focus.
    void activate(const QString& argument) override;
    QWidget* filterField() const override;

private:
    void filter(const QString& words);
    void showPage(int index);

    std::vector<HelpPage> m_pages;
    QLineEdit* m_search;
    QListWidget* m_list;
    QTextBrowser* m_view;
};

} // namespace fettle::ui
