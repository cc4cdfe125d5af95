"""Whether a page can be read and used by everybody, as far as a program can tell: `problems(browser)` is then empty.

After the rules of WCAG 2.1 AA that axe-core calls serious: names of controls, alternative texts, contrast, headings,
references between elements, lists, parts that scroll and can be reached with the keyboard, nothing outside a landmark.
Contrast is 4.5 for letters of any size, those of drawings too.
"""

from pathlib import Path

from selenium.webdriver.common.by import By

CHECKS = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
CONTROLS = "input, button, textarea, select, progress, summary, a[href]"


def problems(browser):
    """What is wrong with what is shown now, one line each; an open dialog is looked at alone."""
    found = browser.run(CHECKS)
    inside = browser.driver.find_elements(By.CSS_SELECTOR, "dialog[open]")
    scope = inside[0] if inside else browser.driver
    for control in scope.find_elements(By.CSS_SELECTOR, CONTROLS):
        if control.is_displayed() and not control.accessible_name.strip():
            found.append(f"name: {control.get_attribute('outerHTML')[:120]}")
    return found


def in_the_dark(browser, wanted):
    """Let the system ask for dark pages, or not."""
    features = [{"name": "prefers-color-scheme", "value": "dark"}] if wanted else []
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
